"""`bringup verify`: a plan of checks on a target, with evidence for each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from bringup import UsageError
from bringup.cli.lab import lab_of
from bringup.cli.options import json_option
from bringup.cli.vlab import lab_options
from bringup.report.output import answer, emit_json

if TYPE_CHECKING:
    from bringup.vlab.scripts import Backend


def _plans(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from bringup.verify.plan import plan_names

    return [CompletionItem(name) for name in plan_names() if name.startswith(incomplete)]


@click.command()
@click.argument("target", metavar="TARGET")
@click.option(
    "--plan",
    "plan_name",
    default="model-1",
    show_default=True,
    shell_complete=_plans,
    help="A name, or a .toml file.",
)
@click.option("--only", multiple=True, metavar="ID", help="This check and what it needs; may be repeated.")
@lab_options()
@click.option(
    "--kernel",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="model-2: the guest's bzImage (default: this host's kernel).",
)
@click.option(
    "--rootfs",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="model-2: its cpio archive, with --kernel.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write report.html, junit.xml and verify.json there.",
)
@json_option("docs/verify.md")
@click.pass_context
def command(
    ctx: click.Context,
    target: str,
    plan_name: str,
    only: tuple[str, ...],
    description: Path | None,
    firewall: Backend,
    rules: Path | None,
    kernel: Path | None,
    rootfs: Path | None,
    report: Path | None,
    as_json: bool,
) -> int:
    """Make the checks of a plan on TARGET, now `vlab`, the virtual lab, and say what each one saw.

    That something did not happen is believed only beside a positive control in the same capture. What cannot
    be tested here is skipped, with the reason. Exit code 0: nothing failed; 12: a check did; 10: the lab.

    \b
    Example:
      bringup verify vlab
      bringup verify vlab --plan model-1 --rules my-rules --report out
      bringup verify vlab --only kill-switch --json
      bringup verify vlab --plan model-2 --kernel bzimage --rootfs rootfs.cpio
    """
    from bringup import runs_folder
    from bringup.boot.folders import RunFolder
    from bringup.jobs.verify import VerifyRun
    from bringup.report.verify import answer_lines, show_progress
    from bringup.report.verify_files import write_report
    from bringup.verify.guests.scene import GuestFiles
    from bringup.verify.plan import load_plan
    from bringup.verify.probes import PROBES
    from bringup.vlab.lab import LabRequest

    plan = load_plan(plan_name, PROBES)
    if target not in plan.targets:
        raise UsageError(
            f"{plan.name} is not for {target}", hint=f"bringup verify {plan.targets[0]} --plan {plan_name}"
        )
    request = LabRequest.of(description, firewall, rules)
    if (kernel is None) != (rootfs is None):
        raise UsageError("--kernel and --rootfs go together")
    if plan.scene == "vlab":
        request.require_programs()
    folder = RunFolder.create(runs_folder(lab_of(ctx)))
    guests = GuestFiles(kernel, rootfs)
    listeners = [] if as_json else [show_progress]
    run = VerifyRun(plan, request, folder, guests=guests, only=only, listeners=listeners)
    verified = run.execute()
    files = write_report(report, verified.body) if report is not None else []
    if as_json:
        emit_json(verified.body)
    else:
        answer(*answer_lines(verified.body))
        if files:
            answer(f"report    {', '.join(files)} in {report}")
    return verified.exit_code
