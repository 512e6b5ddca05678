"""Values put into a file that a person wrote: the spans of those values change, nothing else does. Pure.

    changes = update_changes(document, application, passthrough)
    text = replace(document, changes)
    ...read `text` again as an application, then prove(before, after, passthrough.settings())

Where a value stands under a preprocessor condition there may be a second one that this run of cpp does not
see, so nothing is written there; the refusal names the lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from bringup.base.errors import ProfileError
from bringup.camkes.assign.model import Passthrough, Planned
from bringup.camkes.model import Application, Setting, Value
from bringup.camkes.text.syntax import Assignment, Document, Insertion, Node, Span
from bringup.camkes.text.tokens import COMMENT
from bringup.camkes.vms.literals import same, value_text
from bringup.camkes.write.keep_choices import fit
from bringup.camkes.write.overlay import setting_lines

Change = tuple[Span, str]


def update_changes(
    document: Document, application: Application, passthrough: Passthrough, *, drop: bool = False
) -> list[Change]:
    """Return the changes that make the settings of `document` the wanted ones; none when they are already.

    `drop`: entries of a list that nothing wanted takes the place of go. Raises ProfileError with the place of
    what cannot be changed here.
    """
    changes: list[Change] = []
    new: dict[str, list[Planned]] = {}
    for planned in passthrough.settings():
        setting = application.get(planned.instance, planned.attribute)
        if setting is None:
            _refuse_hidden(document, planned)
            new.setdefault(planned.instance, []).append(planned)
            continue
        wanted = fit(planned, setting.value)
        if same(setting.value, wanted):
            continue
        assignment = _assignment(document, setting)
        if not drop:
            _refuse_dropping(setting, wanted)
        changes += _value_changes(document, assignment.value, setting.value, wanted, None)
    insertions: dict[int, list[str]] = {}
    for vm, missing in new.items():
        place = _insertion(document, vm)
        text = [line for planned in missing for line in setting_lines(planned, passthrough)]
        insertions.setdefault(place.offset, []).append(_lines(document, place, text))
    changes += [(Span(offset, offset), "".join(texts)) for offset, texts in insertions.items()]
    return changes


def prove(before: Application, after: Application, settings: Sequence[Planned]) -> None:
    """Compare two readings of an application; raises ProfileError unless just the wanted settings changed."""
    wanted = {(planned.instance, planned.attribute): planned for planned in settings}
    for key, planned in wanted.items():
        setting = after.get(*key)
        if setting is None or not same(fit(planned, setting.value), setting.value):
            raise ProfileError(
                f"after the change cpp would not make {'.'.join(key)} what it should be; nothing was written",
                hint="a condition or a macro sets it too? `bringup camkes overlay` leaves the file alone",
            )
    for one, other in ((before, after), (after, before)):
        for setting in one.settings:
            if setting.key not in wanted and not _has(other, setting):
                raise ProfileError(
                    f"the change would also change {setting.instance}.{setting.attribute}; "
                    "nothing was written"
                )
    if [i.name for i in before.instances] != [i.name for i in after.instances]:
        raise ProfileError("the change would also change which components there are; nothing was written")


def _has(application: Application, setting: Setting) -> bool:
    return any(
        other.key == setting.key and other.applied == setting.applied and same(other.value, setting.value)
        for other in application.settings
    )


# Which assignment, and where a new one goes.


def _assignment(document: Document, setting: Setting) -> Assignment:
    name = f"{setting.instance}.{setting.attribute}"
    found = [a for a in document.find(*setting.key) if a.where in ("assembly", "piece")]
    if not found:
        raise ProfileError(
            f"{name} is set at {setting.place}, which {document.file} includes",
            hint=f"change it there, or update {setting.place.file} if that is an application of its own",
        )
    _refuse_conditions(document, name, found)
    if len(found) > 1:
        lines = " and ".join(str(a.place.line) for a in found)
        raise ProfileError(
            f"{document.file} sets {name} in lines {lines}, and camkes-tool takes one assignment (C43)",
            hint="take all but one out",
        )
    if found[0].operator == "<-":
        raise ProfileError(f"{found[0].place}: {name} is taken from another attribute; change that one")
    return found[0]


def _refuse_conditions(document: Document, name: str, found: Sequence[Assignment]) -> None:
    told = [f"line {a.place.line} under {', '.join(map(str, a.conditions))}" for a in found if a.conditions]
    inside = [f"line {a.place.line} has one inside" for a in found if a.directive_inside]
    if told or inside:
        raise ProfileError(
            f"{document.file} sets {name} under a preprocessor condition: {'; '.join(told + inside)}",
            hint="change it by hand, or give it a file of its own: bringup camkes overlay",
        )


def _refuse_hidden(document: Document, planned: Planned) -> None:
    """An attribute that this run of cpp does not see may be set in a branch that another build takes."""
    found = document.find(planned.instance, planned.attribute)
    if found:
        _refuse_conditions(document, f"{planned.instance}.{planned.attribute}", found)


def _refuse_dropping(setting: Setting, wanted: Value) -> None:
    count = len(setting.value) if isinstance(setting.value, tuple) else 0
    kept = len(wanted) if isinstance(wanted, tuple) else count
    if count > kept:
        raise ProfileError(
            f"{setting.place}: {setting.instance}.{setting.attribute} has "
            f"{'1 entry' if count == 1 else f'{count} entries'}, and the assignments make {kept}",
            hint="assign this VM's other devices too, or --replace to drop what is not assigned",
        )


def _insertion(document: Document, vm: str) -> Insertion:
    """Return where settings of a VM go: the unconditional configuration that has most of its settings."""
    places = [
        place
        for place in document.insertions()
        if not place.conditions and place.block.holder is not None and place.block.holder.kind == "assembly"
    ]
    if not places:
        raise ProfileError(
            f"{document.file} has no configuration in an assembly that settings of {vm} could go to",
            hint="give them a file of their own: bringup camkes overlay",
        )
    counts = [sum(a.block is p.block and a.instance == vm for a in document.assignments) for p in places]
    return places[counts.index(max(counts))]


def _lines(document: Document, place: Insertion, lines: Sequence[str]) -> str:
    text = "".join(f"{place.indent}{line}{document.newline}" for line in lines)
    # Where the brace stands behind something, the new lines begin on a line of their own.
    alone = document.text[: place.offset].endswith("\n") or place.offset == 0
    return text if alone else document.newline + text


# What changes in a value.


def _value_changes(
    document: Document, node: Node, current: Value, wanted: Value, key: str | None
) -> Iterator[Change]:
    if same(current, wanted):
        return
    if node.kind in ("name", "call"):
        raise ProfileError(
            f"{document.place(node.span.start)}: {document.slice(node.span)} is a macro, and has to change",
            hint="write the value out here, or give it a file of its own: bringup camkes overlay",
        )
    if node.kind == "dict" and isinstance(current, Mapping) and isinstance(wanted, Mapping):
        parts = _dict_changes(document, node, current, wanted)
    elif node.kind == "list" and isinstance(current, tuple) and isinstance(wanted, tuple):
        parts = _list_changes(document, node, current, wanted)
    else:
        parts = None
    if parts is None:
        yield node.span, _with_comments(document, node, _like(document, node, wanted, key))
    else:
        yield from parts


def _dict_changes(
    document: Document, node: Node, current: Mapping[str | int, Value], wanted: Mapping[str | int, Value]
) -> list[Change] | None:
    """Return the changes inside a dictionary, None where it has to be written anew."""
    by_key = {entry.key: entry for entry in node.entries}
    if node.items or len(by_key) != len(node.entries) or not by_key.keys() <= wanted.keys() or not by_key:
        return None
    changes: list[Change] = []
    for entry in node.entries:
        key = entry.key or ""
        changes += _value_changes(document, entry.value, current[key], wanted[key], key)
    keys = [str(key) for key in wanted]
    inserted: dict[int, str] = {}
    for number, name in enumerate(keys):
        if name in by_key:
            continue
        text = f'"{name}":{value_text(wanted[name], name)}'
        behind = next((by_key[key] for key in keys[number:] if key in by_key), None)
        offset = behind.span.start if behind else node.entries[-1].span.end
        inserted[offset] = inserted.get(offset, "") + (f"{text}, " if behind else f", {text}")
    changes += [(Span(offset, offset), text) for offset, text in inserted.items()]
    return changes


def _list_changes(
    document: Document, node: Node, current: tuple[Value, ...], wanted: tuple[Value, ...]
) -> list[Change] | None:
    """Return the changes inside a list, None where it has to be written anew."""
    if len(node.items) != len(current) or len(wanted) < len(current) or not current:
        return None
    changes: list[Change] = []
    for item, old, new in zip(node.items, current, wanted, strict=False):
        changes += _value_changes(document, item, old, new, None)
    if more := wanted[len(current) :]:
        last = node.items[-1].span
        indent = _indent(document, last.start)
        text = "".join(f",{document.newline}{indent}{value_text(value)}" for value in more)
        changes.append((Span(last.end, last.end), text))
    return changes


def _indent(document: Document, offset: int) -> str:
    line = document.text[document.lines.start(offset) : offset]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _like(document: Document, node: Node, value: Value, key: str | None) -> str:
    """Return a value as text, a number in the base of the one it takes the place of."""
    if isinstance(value, int) and not isinstance(value, bool) and node.kind in ("number", "expression"):
        was_hex = document.slice(node.span).startswith("0x")
        return f"{value:#x}" if was_hex and value >= 0 else value_text(value, key if was_hex else None)
    return value_text(value, key)


def _with_comments(document: Document, node: Node, text: str) -> str:
    """Return the new text with the comments of the old one before it, each on a line of its own."""
    inside = [
        token.text
        for token in document.tokens
        if token.kind == COMMENT and node.span.start <= token.start < node.span.end
    ]
    if not inside:
        return text
    newline = document.newline + _indent(document, node.span.start)
    return "".join(f"{comment}{newline}" for comment in inside) + text
