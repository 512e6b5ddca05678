"""`bringup verify`: a plan of checks on a target, with evidence for each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, get_args

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from bringup import Firmware, UsageError
from bringup.base.engine_names import EngineName
from bringup.cli.complete import profile_names, target_names
from bringup.cli.file_path import FilePath
from bringup.cli.lab import lab_of
from bringup.cli.options import json_option
from bringup.cli.vlab import guests_of, lab_options
from bringup.report.output import answer, emit_json

if TYPE_CHECKING:
    from bringup.jobs.verify.first_contact import FirstContact
    from bringup.jobs.verify.record import Verified
    from bringup.jobs.verify.vms import VerifyVms
    from bringup.verify.plan import VerifyPlan
    from bringup.vlab.scripts import Backend


def _plans(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from bringup.verify.plan import plan_names

    return [CompletionItem(name) for name in plan_names() if name.startswith(incomplete)]


@click.command()
@click.argument("target", metavar="TARGET", shell_complete=target_names)
@click.option(
    "--plan",
    "plan_name",
    default="model-1",
    show_default=True,
    shell_complete=_plans,
    help="A name, or a .toml file.",
)
@click.option("--only", multiple=True, metavar="ID", help="This check and what it needs. Repeatable.")
@lab_options()
@click.option(
    "--kernel",
    type=FilePath(dir_okay=False),
    metavar="FILE",
    help="model-2: the guest's bzImage (default: this host's kernel).",
)
@click.option(
    "--rootfs",
    type=FilePath(dir_okay=False),
    metavar="FILE",
    help="model-2: its cpio archive, with --kernel.",
)
@click.option(
    "--report",
    type=FilePath(file_okay=False),
    metavar="DIR",
    help="Write report.html, junit.xml and verify.json there.",
)
@click.option(
    "--profile",
    metavar="NAME",
    shell_complete=profile_names,
    help="hardware: compare with this profile (default: the board's; a twin's: of the board it stands for).",
)
@click.option("--restart", is_flag=True, help="A board: restart it even though it is on.")
@click.option(
    "--image",
    "images",
    multiple=True,
    type=FilePath(),
    metavar="PATH",
    help="model-3, model-4: a build's folder, or kernel and module (repeated).",
)
@click.option(
    "--config",
    type=FilePath(dir_okay=False),
    metavar="FILE",
    help="model-3, model-4: the .camkes file that says what is passed to each VM (default: the plan).",
)
@click.option(
    "--append", default="", metavar="WORDS", help="model-3, model-4: add to the kernel's command line."
)
@click.option(
    "--engine",
    type=click.Choice(["auto", "namespaces", *get_args(EngineName)]),
    default="auto",
    show_default=True,
    help="vlab: namespaces, or qemu for VMs with a kernel of their own; a board: what its twin runs on.",
)
@click.option("--firmware", type=click.Choice([str(f) for f in Firmware]), help="A board: how it boots.")
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
    profile: str | None,
    restart: bool,
    images: tuple[Path, ...],
    config: Path | None,
    append: str,
    engine: str,
    firmware: str | None,
    as_json: bool,
) -> int:
    """Make the checks of a plan on TARGET and say what each one saw.

    TARGET is `vlab`, the virtual lab, or for the plan `hardware` a board of the lab: both probes are booted
    on it, its BMC is asked, and each fact of its profile is confirmed, corrected (a failed check), or not
    testable here. What was measured is kept in units/BOARD.toml beside lab.toml and outranks the profile.

    For `model-3` and `model-4` it is a board, too: the image is booted, and each VM is asked over the board's
    console. A number that does not come whole is asked for again, and never guessed.

    That something did not happen is believed only beside a positive control in the same capture. What cannot
    be tested here is skipped, with the reason. Exit code 0: what was checked holds; 12: a check failed;
    10: the lab did not work; 3: nothing was checked.

    \b
    Example:
      bringup verify vlab
      bringup verify vlab --plan model-1 --rules my-rules --report out
      bringup verify vlab --only kill-switch --json
      bringup verify vlab --engine qemu --only ptp-ab --only no-clear
      bringup verify vlab --plan model-2 --kernel bzimage --rootfs rootfs.cpio
      bringup verify e300-1 --plan hardware --restart --report out
      bringup verify e300-1 --plan model-3 --image build --config e300/passthrough.camkes --restart
      bringup verify e300 --plan model-4 --engine scripted --append play=vms:leaks
    """
    from bringup import RunFolder, runs_folder
    from bringup.base.whole_file import make_folder
    from bringup.jobs.verify.virtual_lab import VerifyLab
    from bringup.report.verify import show_progress
    from bringup.verify.guests.scene import GuestFiles
    from bringup.verify.hardware.measure import PROBES as FACT_PROBES
    from bringup.verify.plan import load_plan
    from bringup.verify.probes import PROBES
    from bringup.vlab.lab import LabRequest

    plan = load_plan(plan_name, [*PROBES, *FACT_PROBES])
    _refuse_options(ctx, plan)
    if report is not None:
        make_folder(report)  # before the run: it may take an hour
    boots = Firmware(firmware) if firmware else None
    if plan.scene == "hardware":
        words = FirstWords(profile, only, restart, engine, boots)
        verified = _first_contact(ctx, target, plan, words, as_json=as_json)
        return _told(verified, report, as_json=as_json)
    if plan.scene == "vms":
        asked = VmWords(only, restart, images, config, append, engine, boots)
        return _told(_ask_vms(ctx, target, plan, asked, as_json=as_json), report, as_json=as_json)
    if target not in plan.targets:
        raise UsageError(
            f"{plan.name} is not for {target}", hint=f"bringup verify {plan.targets[0]} --plan {plan_name}"
        )
    request = LabRequest.of(description, firewall, rules)
    if (kernel is None) != (rootfs is None):
        raise UsageError("--kernel and --rootfs go together")
    fitting = {"vlab": ("auto", "namespaces", "qemu"), "guests": ("auto", "qemu")}[plan.scene]
    if engine not in fitting:
        raise UsageError(f"{plan.name} is made on {' or '.join(fitting[1:])}, not on {engine}")
    if plan.scene == "vlab":
        request = replace(request, guests=guests_of(engine))
        request.require_programs()
    folder = RunFolder.create(runs_folder(lab_of(ctx)))
    guests = GuestFiles(kernel, rootfs)
    listeners = [] if as_json else [show_progress]
    run = VerifyLab(plan, request, folder, guests=guests, only=only, listeners=listeners)
    verified = run.execute()
    return _told(verified, report, as_json=as_json)


class _Fitting(NamedTuple):
    """Options (their parameters' names), the scenes whose plans take them, and what is said elsewhere."""

    options: frozenset[str]
    scenes: frozenset[str]
    why_not: str
    hint: str


_FITTING = (
    _Fitting(
        frozenset({"images", "config", "append"}),
        frozenset({"vms"}),
        "--image, --config and --append are for the VMs of a board",
        "--plan model-3",
    ),
    _Fitting(
        frozenset({"restart", "firmware"}),
        frozenset({"hardware", "vms"}),
        "--restart and --firmware are for a board",
        "--plan hardware, model-3 or model-4",
    ),
    _Fitting(
        frozenset({"profile"}),
        frozenset({"hardware"}),
        "--profile is for first contact with a board",
        "--plan hardware",
    ),
    _Fitting(
        frozenset({"kernel", "rootfs"}),
        frozenset({"guests"}),
        "--kernel and --rootfs are for the guest's own kernel",
        "--plan model-2",
    ),
    _Fitting(
        frozenset({"description", "firewall", "rules"}),
        frozenset({"vlab"}),
        "--description, --firewall and --rules are for the virtual lab",
        "bringup verify vlab",
    ),
)


def _refuse_options(ctx: click.Context, plan: VerifyPlan) -> None:
    """Raise UsageError for an option that this plan would pass over without a word."""
    given = {name for name in ctx.params if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    for fitting in _FITTING:
        if given & fitting.options and plan.scene not in fitting.scenes:
            raise UsageError(f"{fitting.why_not}, not for {plan.name}", hint=fitting.hint)


class FirstWords(NamedTuple):
    """What a person said of first contact."""

    profile: str | None
    only: tuple[str, ...]
    restart: bool
    engine: str
    firmware: Firmware | None


def _first_contact(
    ctx: click.Context, target: str, plan: VerifyPlan, words: FirstWords, *, as_json: bool
) -> Verified:
    from bringup import CaptureRequest
    from bringup.jobs.verify.first_contact import FirstContact, FirstContactRequest
    from bringup.report.verify import show_progress
    from bringup.twin.engines import TwinSetup

    _refuse_vlab(target, plan, words.engine)
    capture = CaptureRequest(firmware=words.firmware, restart=words.restart, twin=TwinSetup(words.engine))
    request = FirstContactRequest(words.profile, words.only, capture)
    contact = FirstContact(lab_of(ctx), target, plan, request, [] if as_json else [show_progress])
    return _executed(contact, as_json=as_json)


class VmWords(NamedTuple):
    """What a person said of a board's VMs."""

    only: tuple[str, ...]
    restart: bool
    images: tuple[Path, ...]
    config: Path | None
    append: str
    engine: str
    firmware: Firmware | None


def _ask_vms(ctx: click.Context, target: str, plan: VerifyPlan, words: VmWords, *, as_json: bool) -> Verified:
    from bringup import BootRequest
    from bringup.jobs.verify.vms import VerifyVms, VmsRequest
    from bringup.report.verify import show_progress
    from bringup.twin.engines import TwinSetup

    _refuse_vlab(target, plan, words.engine)
    boot = BootRequest(firmware=words.firmware, restart=words.restart, twin=TwinSetup(words.engine))
    request = VmsRequest(words.images, words.config, words.append, words.only, boot)
    run = VerifyVms(lab_of(ctx), target, plan, request, [] if as_json else [show_progress])
    return _executed(run, as_json=as_json)


def _executed(run: FirstContact | VerifyVms, *, as_json: bool) -> Verified:
    from bringup.report.boot_view import boot_display
    from bringup.report.person import TerminalPerson
    from bringup.report.viewer import Viewer

    if as_json:
        return run.execute(None, TerminalPerson())
    with Viewer(boot_display) as viewer:
        return run.execute(viewer, TerminalPerson(viewer.tell))


def _refuse_vlab(target: str, plan: VerifyPlan, engine: str) -> None:
    if target == "vlab":
        raise UsageError(f"{plan.name} is for a board of the lab", hint="bringup boards lists them")
    if engine == "namespaces":
        raise UsageError(
            "a board has no namespaces",
            hint=f"--engine is what a twin runs on: {', '.join(get_args(EngineName))}",
        )


def _told(verified: Verified, report: Path | None, *, as_json: bool) -> int:
    from bringup.report.verify import answer_lines
    from bringup.report.verify_files import write_report

    files = write_report(report, verified.body) if report is not None else []
    if as_json:
        emit_json(verified.body)
        return verified.exit_code
    answer(*answer_lines(verified.body))
    if files:
        answer(f"report    {', '.join(files)} in {report}")
    return verified.exit_code
