"""Update: passthrough settings put into a file that a person wrote, in place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bringup.base.finding import Report
from bringup.base.whole_file import write_whole
from bringup.camkes.text.file import read_file, real_path, replace_kept
from bringup.camkes.text.syntax import read_text, replace
from bringup.camkes.write.update import prove, update_changes
from bringup.jobs.configure.assigned import Assigned, assign_devices
from bringup.jobs.configure.request import AssignRequest
from bringup.lab.inventory import Lab
from bringup.profile.toml_lines import shown_path


@dataclass(frozen=True, slots=True)
class PlannedUpdate:
    """A file as it is and as it shall be, proven and checked. `output` None: it is changed in place."""

    application: Path
    output: Path | None
    assigned: Assigned
    old: bytes
    new: bytes
    report: Report

    @property
    def target(self) -> Path:
        """The file that is written."""
        return self.output or self.application

    @property
    def stale(self) -> bool:
        """Whether the file says something else than the machine needs."""
        return self.new != self.old

    def write(self) -> Path | None:
        """Write the target, whole or not at all; return where its old content is kept, None without any.

        Raises UsageError when it cannot be written, or was changed meanwhile.
        """
        if self.output is None:
            return replace_kept(self.application, self.old, self.new) if self.stale else None
        if not self.output.exists():
            write_whole(self.output, self.new)
            return None
        was = read_file(self.output)
        return replace_kept(self.output, was, self.new) if was != self.new else None


def plan_update(
    lab: Lab | None,
    application: Path,
    request: AssignRequest,
    output: Path | None = None,
    *,
    drop: bool = False,
) -> PlannedUpdate:
    """Return the file with the values for the assigned devices, nothing else of it changed.

    `drop`: entries of these VMs that no device is assigned to go. Raises UsageError for what cannot be read,
    ProfileError for an assignment that cannot work or a value that cannot be changed here.
    """
    old = read_file(application)
    document = read_text(old, shown_path(application.absolute()))
    assigned = assign_devices(lab, application, request, old)
    changes = update_changes(document, assigned.application, assigned.passthrough, drop=drop)
    new = document.encode(replace(document, changes))
    after = request.read(application if output is None else real_path(output), new, of=application)
    prove(assigned.application, after, assigned.passthrough.settings())
    return PlannedUpdate(application, output, assigned, old, new, assigned.check(after))
