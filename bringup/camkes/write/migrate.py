"""Spellings of camkes-vm before 2019 made today's: `vm0_config.irqs` becomes `vm0.vm_irqs`, and so on. Pure.

Names are changed wherever they stand, under preprocessor conditions too, because the old ones work in no
build of today. Interrupts also get the `ioapic` that the template asks for since camkes-vm#33 (C1).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from bringup.base.errors import ProfileError
from bringup.camkes.model import Application, Setting, Value
from bringup.camkes.text.syntax import Assignment, Document, Node, Span
from bringup.camkes.text.tokens import WORD
from bringup.camkes.vms.attributes import OLD_ATTRIBUTES, find_attribute, old_instance
from bringup.camkes.vms.literals import same

_IRQS = "vm_irqs"


@dataclass(frozen=True, slots=True)
class Migration:
    """The changes, what they are in words, and what has to be looked at by a person."""

    changes: tuple[tuple[Span, str], ...]
    done: tuple[str, ...]
    notes: tuple[str, ...]


def migration(document: Document, ioapic: int = 0) -> Migration:
    """Return what makes the spellings of a file today's; no changes where they are already.

    Raises ProfileError where old and new stand side by side, or where a macro makes the interrupts.
    """
    changes: list[tuple[Span, str]] = []
    done: list[str] = []
    notes: list[str] = []
    for assignment in document.assignments:
        new = new_key(assignment.instance, assignment.attribute)
        if new is None and old_instance(*assignment.key):
            name = f"{assignment.instance}.{assignment.attribute}"
            notes.append(f"{assignment.place}: {name} is nothing that a VM reads today; it was left alone")
        elif new is not None:
            _refuse_both(document, assignment, new)
            changes += _renamed(document, assignment, new)
            done.append(f"{assignment.place}: {'.'.join(assignment.key)} is {'.'.join(new)} now")
        if (new or assignment.key)[1] == _IRQS and assignment.operator == "=":
            added = list(_with_ioapic(document, assignment.value, ioapic))
            changes += added
            if added:
                done.append(f'{assignment.place}: "ioapic":{ioapic} added to {len(added)} of its entries')
    return Migration(tuple(changes), tuple(done), tuple(notes))


def new_key(instance: str, attribute: str) -> tuple[str, str] | None:
    """Return today's instance and attribute of an old spelling, None for one that is no old spelling."""
    vm = old_instance(instance, attribute)
    if vm is None:
        return None
    new = OLD_ATTRIBUTES.get(attribute) or (attribute if find_attribute(attribute) else None)
    return (vm, new) if new else None


def left_over(application: Application) -> Iterator[str]:
    """Yield the old spellings that an application still has, in words: what macros and includes bring."""
    for setting in application.settings:
        new = new_key(*setting.key)
        if new is not None:
            name, today = ".".join(setting.key), ".".join(new)
            yield f"{setting.place}: {name} comes out of a macro or an include: write {today} where that is"


def prove_migration(before: Application, after: Application, ioapic: int) -> None:
    """Compare two readings; raises ProfileError unless only spellings changed and `ioapic` was added."""
    wanted = [_migrated(setting, ioapic) for setting in before.settings]
    for key, number in Counter(setting.key for setting in wanted if setting.applied).items():
        if number > 1 and len({s.key for s in before.settings if (new_key(*s.key) or s.key) == key}) > 1:
            raise ProfileError(
                f"{'.'.join(key)} is set under its old name and under today's: there would be two (C43)",
                hint="take one of the two out",
            )
    found = list(after.settings)
    for setting in wanted:
        match = next((s for s in found if s.key == setting.key and same(s.value, setting.value)), None)
        if match is None:
            raise ProfileError(
                f"after the change cpp would not give {'.'.join(setting.key)} its old value; "
                "nothing was written"
            )
        found.remove(match)
    if found:
        raise ProfileError(f"the change would also set {'.'.join(found[0].key)}; nothing was written")


def _migrated(setting: Setting, ioapic: int) -> Setting:
    instance, attribute = new_key(*setting.key) or setting.key
    value = setting.value
    if attribute == _IRQS and isinstance(value, tuple):
        value = tuple(_given_ioapic(entry, ioapic) for entry in value)
    return replace(setting, instance=instance, attribute=attribute, value=value)


def _given_ioapic(entry: Value, ioapic: int) -> Value:
    if isinstance(entry, Mapping) and "ioapic" not in entry:
        return {**entry, "ioapic": ioapic}
    return entry


def _refuse_both(document: Document, old: Assignment, new: tuple[str, str]) -> None:
    for other in document.find(*new):
        # In another branch it may be meant so; `prove_migration` sees what this build makes of it.
        if other.conditions == old.conditions:
            raise ProfileError(
                f"{old.place} sets {'.'.join(old.key)} and line {other.place.line} {'.'.join(new)}: "
                "under one name there would be two (C43)",
                hint="take one of the two out",
            )


def _renamed(document: Document, assignment: Assignment, new: tuple[str, str]) -> Iterator[tuple[Span, str]]:
    words = (
        token
        for token in document.tokens
        if token.kind == WORD and assignment.span.start <= token.start < assignment.value.span.start
    )
    for token, text in zip(words, new, strict=False):
        if token.text != text:
            yield Span(token.start, token.end), text


def _with_ioapic(document: Document, value: Node, ioapic: int) -> Iterator[tuple[Span, str]]:
    """Yield an insertion for each interrupt without `ioapic`, before its `source`."""
    if value.kind != "list":
        raise _made_elsewhere(document, value)
    for item in value.items:
        if item.kind != "dict":
            raise _made_elsewhere(document, item)
        if item.entry("ioapic") is None:
            before = item.entry("source") or (item.entries[0] if item.entries else None)
            offset = before.span.start if before else item.span.start + 1
            yield Span(offset, offset), f'"ioapic":{ioapic}{", " if before else ""}'


def _made_elsewhere(document: Document, node: Node) -> ProfileError:
    return ProfileError(
        f"{document.place(node.span.start)}: interrupts are made by {document.slice(node.span)[:60]!r}, and "
        '"ioapic" cannot be added here',
        hint="write the entries out, or add it where they are made",
    )
