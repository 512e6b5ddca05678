"""What `bringup camkes` knows beside the application: captures, a board profile, a build; read when named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bringup.cli.context import Context

if TYPE_CHECKING:
    from bringup.camkes.app.build import Build
    from bringup.pci.assessment import Assessment
    from bringup.pci.model import Machine
    from bringup.profile.model import Profile


def read_machine(context: Context, captures: Sequence[str]) -> Machine:
    """Return the machine that the captures show together; each is a path, or a board for its latest one."""
    from bringup.cli.capture_arg import find_capture
    from bringup.pci.capture.open import open_capture

    return open_capture([find_capture(context, text) for text in captures])


def read_facts(
    context: Context, captures: Sequence[str], profile_name: str | None, build_dir: Path | None
) -> tuple[Assessment | None, Profile | None, Build | None]:
    """Return the assessed capture, the profile and the build, each None when nobody named it.

    Without a named profile, that of a board named as a capture is taken, else the one the machine matches.
    """
    build = None
    if build_dir is not None:
        from bringup.camkes.app.build import read_build

        build = read_build(build_dir)
    profile = _profile(context, captures, profile_name)
    if not captures:
        return None, profile, build
    from bringup.rules.assess import assess

    machine = read_machine(context, captures)
    if profile is None:
        from bringup.pci.match.board import profile_of

        profile = profile_of(machine, context.lab().profile_folders)
    return assess(machine, profile), profile, build


def _profile(context: Context, captures: Sequence[str], name: str | None) -> Profile | None:
    if name is not None:
        from bringup.profile.load import load_profile

        return load_profile(name, context.lab().profile_folders)
    boards = [text for text in captures if "/" not in text and text in context.lab().boards]
    return context.lab().boards[boards[0]].profile if boards else None
