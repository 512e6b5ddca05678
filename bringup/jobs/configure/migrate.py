"""Migrate: the spellings of before 2019 made today's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bringup.base.errors import MissingProgramError, UsageError
from bringup.camkes.model import Application
from bringup.camkes.text.file import read_file, replace_kept
from bringup.camkes.text.syntax import read_text, replace
from bringup.camkes.write.migrate import left_over, migration, prove_migration
from bringup.jobs.configure.request import CheckRequest
from bringup.profile.toml_lines import shown_path


@dataclass(frozen=True, slots=True)
class PlannedMigration:
    """A file as it is and as it shall be; what was done in words, and what a person has to look at.

    `left` are old spellings that macros or included files bring, which are changed where those stand.
    """

    application: Path
    old: bytes
    new: bytes
    done: tuple[str, ...]
    notes: tuple[str, ...]
    left: tuple[str, ...] = ()

    @property
    def stale(self) -> bool:
        """Whether there is something to migrate."""
        return self.new != self.old

    def write(self) -> Path | None:
        """Replace the file, whole or not at all; return where the old one is kept, None when it is current.

        Raises UsageError when it cannot be written, or was changed meanwhile.
        """
        return replace_kept(self.application, self.old, self.new) if self.stale else None


def plan_migration(
    application: Path,
    *,
    ioapic: int = 0,
    include: Sequence[Path] = (),
    define: Sequence[str] = (),
) -> PlannedMigration:
    """Return the file with today's spellings, and `ioapic` given to interrupts without one.

    Includes are looked for as the application's projects lie, too; those not found are passed over: the
    spelling is changed in this file, and its own text decides. Raises UsageError for what cannot be read,
    ProfileError where old and new stand side by side.
    """
    old = read_file(application)
    document = read_text(old, shown_path(application.absolute()))
    migrated = migration(document, ioapic)
    new = document.encode(replace(document, migrated.changes))

    request = CheckRequest(include=include, define=define, allow_missing=True)

    def read(text: bytes) -> Application:
        return request.read(application, text)

    if new != old:
        after = read(new)
        prove_migration(read(old), after, ioapic)
        left = tuple(left_over(after))
    else:
        left = _left_in(lambda: read(old))
    return PlannedMigration(application, old, new, migrated.done, migrated.notes, left)


def _left_in(read: Callable[[], Application]) -> tuple[str, ...]:
    """Return the old spellings of a file that is not changed; a part of one need not be an application."""
    try:
        return tuple(left_over(read()))
    except (UsageError, MissingProgramError):
        return ()
