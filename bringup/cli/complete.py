"""Completion of names on the command line; a broken lab file completes to nothing instead of failing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import click
from click.shell_completion import BashComplete, CompletionItem, add_completion_class

from bringup import BringupError
from bringup.cli.lab import lab_of

if TYPE_CHECKING:
    from bringup import Lab

Completion = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _completion(names: Callable[[Lab], Iterable[str]]) -> Completion:
    """Return the completion that offers those names of a lab which begin with what was typed."""

    def complete(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        try:
            known = list(names(lab_of(ctx)))
        except BringupError:
            return []
        return [CompletionItem(name) for name in known if name.startswith(incomplete)]

    return complete


def _profiles(lab: Lab) -> Iterable[str]:
    from bringup.profile.files import profile_files

    return profile_files(lab.profile_folders)


def _faults(_lab: Lab) -> Iterable[str]:
    from bringup.twin.faults.catalog import FAULTS

    return FAULTS


def _disk_kinds(_lab: Lab) -> Iterable[str]:
    from bringup.twin.disks import DISK_KINDS, NO_DISK

    return [*DISK_KINDS, NO_DISK]


def _boards_and_tags(lab: Lab) -> Iterable[str]:
    from bringup.lab.select import tags_of

    return [*lab.boards, *sorted(tags_of(lab))]


def _runs(lab: Lab) -> Iterable[str]:
    from bringup import list_runs, runs_folder

    # The latest first: it is the one most often meant.
    return [run.run_id for run in reversed(list_runs(runs_folder(lab)))]


class _Bash(BashComplete):
    """bash breaks words at `=`, so that `--lab=FILE` and `BOARD=FAULT` come as three of them each."""

    def get_completion_args(self) -> tuple[list[str], str]:
        words, incomplete = super().get_completion_args()
        words = joined(words)
        last = words[-1] if words else ""
        if incomplete and not last.startswith("--") and (incomplete == "=" or last.endswith("=")):
            return words[:-1], last + incomplete
        return words, incomplete

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        # What is put in stands for the part after `=` only.
        items = super().get_completions(args, incomplete)
        name, sign, _ = incomplete.partition("=")
        if not sign or name.startswith("--"):
            return items
        return [CompletionItem(each.value.removeprefix(f"{name}="), each.type, each.help) for each in items]


def joined(words: list[str]) -> list[str]:
    """Return words of bash with `--option`, `=`, `value` and `name`, `=`, `value` made one again."""
    whole: list[str] = []
    for word in words:
        if whole and (word == "=" or whole[-1].endswith("=")):
            whole[-1] += word
        else:
            whole.append(word)
    if words[-1:] == ["="] and whole[-1].startswith("--"):
        whole[-1] = whole[-1].removesuffix("=")  # its value is what is being typed
    return whole


def complete_for_bash() -> None:
    """Let bash be completed by `_Bash`, which knows how it breaks words."""
    add_completion_class(_Bash, "bash")


board_names = _completion(lambda lab: lab.boards)
board_and_tag_names = _completion(_boards_and_tags)
twin_names = _completion(lambda lab: [board.name for board in lab.boards.values() if board.twin])
profile_names = _completion(_profiles)
board_and_profile_names = _completion(lambda lab: [*lab.boards, *_profiles(lab)])
run_names = _completion(_runs)
fault_names = _completion(_faults)
disk_kinds = _completion(_disk_kinds)
target_names = _completion(lambda lab: ["vlab", *lab.boards])


def disk_names(ctx: click.Context, _parameter: object, incomplete: str) -> list[CompletionItem]:
    """Return the disks of the board that was typed: that of the lab file, and those that a run has seen."""
    from bringup import runs_folder
    from bringup.boot.folders import disks_seen

    # An option that waits for its value keeps click from giving the words before it their names.
    name = ctx.params.get("board") or next(iter(ctx.args), "")
    try:
        lab = lab_of(ctx)
    except BringupError:
        return []
    own = lab.boards[name].disk if name in lab.boards else None
    known = dict.fromkeys([*([own] if own else []), *(disks_seen(runs_folder(lab), name))])
    return [CompletionItem(disk) for disk in known if disk.startswith(incomplete)]


def faults_by_board(_ctx: object, _parameter: object, incomplete: str) -> list[CompletionItem]:
    """Return BOARD= for each board that a shelf may have, and after `=` the faults."""
    from bringup.twin.faults.catalog import FAULTS
    from bringup.twin.shelf.client import MOST, plan_shelf

    board, sign, _ = incomplete.partition("=")
    if sign:
        offered = [f"{board}={fault}" for fault in FAULTS]
    else:
        # How many are asked for click does not tell before the option has its value.
        offered = [f"{each.name}=" for each in plan_shelf(MOST, full=0)]
    return [CompletionItem(word) for word in offered if word.startswith(incomplete)]


def capture_names(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the boards that begin with what was typed, and let the shell add files."""
    return [*board_names(ctx, parameter, incomplete), CompletionItem(incomplete, type="file")]
