"""`bringup camkes plan-memory`: how large pools, heap and CNode of a VM have to be."""

from __future__ import annotations

import re

import click

from bringup import UsageError
from bringup.cli.camkes.options import capture_option
from bringup.cli.lab import lab_for
from bringup.cli.options import json_option
from bringup.report.output import answer, emit_json

_BYTES = re.compile(r"(0x[0-9a-f]{1,12}|[0-9]{1,15})(?:([kmg])i?b?)?", re.IGNORECASE | re.ASCII)
_SCALES = {"k": 10, "m": 20, "g": 30}
_MIB = 1 << 20


def _bytes(text: str) -> int:
    """Return a number of bytes: 16384, 0x4000, 16K, 1M."""
    match = _BYTES.fullmatch(text)
    if match is None:
        raise UsageError(f'--bar "{text}" is no number of bytes', hint="write 0x4000, 16384 or 16K")
    base = 16 if match[1][:2].lower() == "0x" else 10
    return int(match[1], base) << _SCALES.get((match[2] or "").lower(), 0)


@click.command("plan-memory")
@click.option("--guest-ram", type=int, required=True, metavar="MIB", help="RAM of each guest.")
@click.option("--vms", type=int, default=1, show_default=True, metavar="N", help="How many VMs of this size.")
@click.option("--board-ram", type=int, metavar="MIB", help="RAM of the board.")
@capture_option("A capture, or a board: its RAM.")
@click.option(
    "--bar", "bars", multiple=True, metavar="BYTES", help="A memory BAR that each VM gets, as in 1M."
)
@click.option(
    "--devices", type=int, metavar="N", help="PCI functions that each VM gets (default: 1 with --bar)."
)
@click.option(
    "--reserve", type=int, metavar="MIB", help="Kernel, images and native components (default: an estimate)."
)
@json_option("docs/camkes-check.md")
@click.pass_context
def command(
    ctx: click.Context,
    guest_ram: int,
    vms: int,
    board_ram: int | None,
    captures: tuple[str, ...],
    bars: tuple[str, ...],
    devices: int | None,
    reserve: int | None,
    as_json: bool,
) -> int:
    """Propose untyped pools, heap and CNode for VMs of a size, with the sums; exit 12 when they cannot fit.

    \b
    Example:
      bringup camkes plan-memory --guest-ram 1024 --vms 3 --board-ram 16384 --bar 1M --bar 16K
      bringup camkes plan-memory --guest-ram 256 --capture e300
    """
    from bringup.camkes.vms.memory import RESERVED, plan_memory
    from bringup.jobs.configure.facts import read_ram
    from bringup.report.memory_plan import plan_json, plan_lines

    for name, value in (("--board-ram", board_ram), ("--reserve", reserve)):
        if value is not None and not 0 <= value <= 1 << 24:
            raise UsageError(f"{name} {value} makes no sense", hint="give MiB, as in --board-ram 16384")
    if board_ram is not None:
        ram: int | None = board_ram * _MIB
    else:
        ram = read_ram(lab_for(ctx, captures), captures) if captures else None
    plan = plan_memory(
        guest_ram,
        vms=vms,
        board_ram=ram,
        bars=tuple(map(_bytes, bars)),
        devices=devices,
        reserved=RESERVED if reserve is None else reserve * _MIB,
    )
    if as_json:
        emit_json(plan_json(plan))
        return 0
    answer(*plan_lines(plan))
    return 0
