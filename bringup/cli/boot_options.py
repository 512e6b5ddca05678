"""Options of the commands that boot a board, worded once, and what is made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click

from bringup import Firmware, Stage
from bringup.base.stage import BOOT_STAGES
from bringup.cli.file_path import FilePath

if TYPE_CHECKING:
    from bringup.boot.job import Job

CONFIG = click.option(
    "--config",
    type=FilePath(),
    metavar="FILE",
    help="The .camkes file the image was built from (default: an overlay found with the image).",
)
PIN = click.option(
    "--pin",
    "pins",
    multiple=True,
    metavar="DEVICE=IOAPIC/PIN",
    help="Compare the configuration with this pin, as it was stated to `camkes update`.",
)
FIRMWARE = click.option(
    "--firmware", type=click.Choice([str(each) for each in Firmware]), help="Default: the profile's."
)
UNTIL = click.option(
    "--until",
    type=click.Choice([str(stage) for stage in BOOT_STAGES]),
    help="Stage that counts as success (default: what the image is good for).",
)
UNTIL_TEXT = click.option(
    "--until-text", multiple=True, metavar="REGEX", help="Text that must come; with --until, too. Repeatable."
)
FAIL_TEXT = click.option(
    "--fail-text", multiple=True, metavar="REGEX", help="Text that means failure. Repeatable."
)
APPEND = click.option("--append", default="", metavar="WORDS", help="Add to the kernel's command line.")
MODULE_SIZE = click.option(
    "--module-size",
    type=click.IntRange(1, 1024),
    default=1,
    show_default=True,
    metavar="MIB",
    help="Size of the stand-in image's module.",
)
RESTART = click.option("--restart", is_flag=True, help="Restart a real board that is on without asking.")
STEAL = click.option("--steal", is_flag=True, help="Take the console even if somebody else holds it.")
KEEP = click.option("--keep", is_flag=True, help="Leave the twin up afterwards if this command started it.")
DRY_RUN = click.option("--dry-run", is_flag=True, help="Print the plan and touch nothing.")
EVENTS = click.option(
    "--events", is_flag=True, help="Every event as a line of JSON on stdout (docs/events.md)."
)


def how_to_boot(options: dict[str, Any]) -> dict[str, Any]:
    """Return what a BootRequest takes of the options that every command which boots an image has."""
    return {
        "firmware": Firmware(options["firmware"]) if options["firmware"] else None,
        "until": Stage(options["until"]) if options["until"] else None,
        "until_texts": options["until_text"],
        "fail_texts": options["fail_text"],
        "steal": options["steal"],
        "keep_twin": options["keep"],
        "ignore_needs": options["ignore_needs"],
        "override": options["override"],
        "restart": options["restart"],
    }


def dry_run(jobs: Iterable[Job], *, as_json: bool) -> int:
    """Print the plans of the runs that would follow one after the other, and return the exit code."""
    from bringup.report.output import answer, emit_json
    from bringup.report.run import plan_lines

    plans = [job.plan.to_dict() for job in jobs]
    if as_json:
        emit_json({"plans": plans})
    else:
        answer(*(line for plan in plans for line in plan_lines(plan)))
    return 0


def carry_out(work: Callable[[], int], *, events: bool) -> int:
    """Do `work`; with --events whatever ends it is a verdict of the stream, too."""
    if not events:
        return work()
    from bringup.report.event_stream import ending_in_verdict

    return ending_in_verdict(work)
