"""What `overlay` and `update` share: their options, the facts behind them, and how an assignment is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bringup.base.errors import ProfileError, UsageError
from bringup.cli.complete import capture_names, profile_names
from bringup.cli.context import Context
from bringup.cli.options import json_option

if TYPE_CHECKING:
    from bringup.base.finding import Report
    from bringup.camkes.app.build import Build
    from bringup.camkes.assign.model import Grant, Passthrough
    from bringup.camkes.claims.facts import MadeFrom
    from bringup.camkes.model import Application
    from bringup.pci.assessment import Assessment
    from bringup.pci.model import Machine
    from bringup.profile.model import Profile

F = TypeVar("F", bound=Callable[..., Any])


_OPTIONS = (
    click.option(
        "--capture",
        "captures",
        required=True,
        multiple=True,
        metavar="C",
        shell_complete=capture_names,
        help="A capture, or a board for its latest one.",
    ),
    click.option(
        "--profile",
        "profile_name",
        metavar="P",
        shell_complete=profile_names,
        help="Judge by this board profile.",
    ),
    click.option(
        "--assign",
        "assignments",
        required=True,
        multiple=True,
        metavar="VM=DEVICE",
        help="Give a device to a VM; by BDF, MAC or the profile's port name. Once per device.",
    ),
    click.option(
        "--accept", multiple=True, metavar="CODE", help="Take a device on that needs this change elsewhere."
    ),
    click.option(
        "--build-dir", type=click.Path(path_type=Path), metavar="DIR", help="Check against this build, too."
    ),
    click.option(
        "--guest-ram", type=int, metavar="MIB", help="Also set each guest's RAM, pools, heap, CNode."
    ),
    click.option("--pools", is_flag=True, help="Also set pools, heap and CNode for the RAM that is set."),
    click.option(
        "-I",
        "include",
        type=click.Path(path_type=Path),
        multiple=True,
        help="Folder of includes, as for cpp.",
    ),
    click.option("-D", "define", multiple=True, metavar="NAME[=V]", help="Macro, as for cpp."),
    click.option("--allow-missing", is_flag=True, help="Go on without includes that are not found."),
    json_option("docs/camkes.md"),
)


def assign_options(function: F) -> F:
    """Add the options that say what is assigned, from which facts, and how the application is read."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@dataclass(frozen=True, slots=True)
class Assigned:
    """An application, the facts it is given, and what follows; `read` reads a file's draft the same way."""

    application: Application
    assessment: Assessment
    profile: Profile | None
    build: Build | None
    passthrough: Passthrough
    origin: MadeFrom
    read: Callable[[Path, bytes], Application]
    accepted: tuple[str, ...] = ()

    def check(self, application: Application) -> Report:
        """Check an application against the same facts; what was accepted, and no build denies, only warns."""
        from bringup.rules.check import check

        return check(
            application,
            assessment=self.assessment,
            build=self.build,
            profile=self.profile,
            accepted=self.accepted,
        )


def assigned(
    ctx: click.Context, path: Path, options: Mapping[str, Any], data: bytes | None = None
) -> Assigned:
    """Return what the options ask of the application at `path`, every refusal raised; nothing is written.

    `data`: the content that was read of it.
    """
    from bringup.camkes.app.load import load_application
    from bringup.camkes.assign.request import parse_wanted
    from bringup.camkes.assign.solve import assign
    from bringup.cli.camkes.facts import read_facts

    wanted = [parse_wanted(text) for text in options["assignments"]]

    def read(file: Path, data: bytes | None) -> Application:
        return load_application(
            file,
            include=options["include"],
            define=options["define"],
            allow_missing=options["allow_missing"],
            data=data,
        )

    application = read(path, data)
    context = Context.of(ctx)
    assessment, profile, build = read_facts(
        context, options["captures"], options["profile_name"], options["build_dir"]
    )
    if assessment is None:
        raise UsageError("no capture is named", hint="--capture FILE, or --capture BOARD for its latest")
    passthrough = assign(assessment, wanted, application, profile=profile, accept=options["accept"])
    sizing = _sizing(passthrough, application, options["guest_ram"], pools=options["pools"])
    accepted = tuple(options["accept"])
    origin = _origin(context, options["captures"], assessment.machine, profile, accepted)
    passthrough = replace(passthrough, sizing=sizing)
    return Assigned(application, assessment, profile, build, passthrough, origin, read, accepted)


def _origin(
    context: Context,
    captures: tuple[str, ...],
    machine: Machine,
    profile: Profile | None,
    accepted: tuple[str, ...],
) -> MadeFrom:
    from hashlib import sha256

    from bringup.camkes.claims.facts import MadeFrom

    hashes = sorted({source.sha256 for source in machine.sources if source.sha256})
    digest = hashes[0] if len(hashes) == 1 else sha256("\n".join(hashes).encode()).hexdigest()
    names = " + ".join(dict.fromkeys(source.name for source in machine.sources))
    boards = [text for text in captures if "/" not in text and text in context.lab().boards]
    return MadeFrom(names, digest, boards[0] if boards else None, profile.name if profile else None, accepted)


def _sizing(
    passthrough: Passthrough, application: Application, guest_ram: int | None, *, pools: bool
) -> Mapping[str, tuple[tuple[str, int], ...]]:
    if guest_ram is None and not pools:
        return {}
    from bringup.camkes.vms.memory import plan_memory

    sizing = {}
    for vm in passthrough.vms:
        grants = passthrough.of(vm)
        ram = guest_ram if guest_ram is not None else application.value(vm, "guest_ram_mb")
        if not isinstance(ram, int):
            raise ProfileError(f"{vm} has no guest_ram_mb that --pools could go by", hint="--guest-ram MIB")
        bars = [frames.size for grant in grants for frames in grant.frames]
        settings = plan_memory(ram, bars=bars, devices=len(grants)).settings
        sizing[vm] = tuple(s for s in settings if guest_ram is not None or s[0] != "guest_ram_mb")
    return sizing


# How it is told.


def grant_lines(passthrough: Passthrough) -> Iterator[str]:
    """Yield one line per device: VM, BDF, ports, BARs, pin and guest IRQ; then what to be careful about."""
    rows = [_row(grant) for grant in passthrough.grants]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    for grant in passthrough.grants:
        ioapic, pin = grant.line
        if grant.pin.grade in ("inferred", "firmware"):
            yield (
                f"careful   pin {ioapic}/{pin} of {grant.bdf.short} is {grant.pin.grade}: "
                "no interrupt was seen there"
            )
    for caution in passthrough.cautions:
        yield f"careful   {caution}"


def _row(grant: Grant) -> tuple[str, ...]:
    ports = ", ".join(f"{ports.start:x}-{ports.end - 1:x}" for ports in grant.ports)
    bars = ", ".join(str(bar) for frames in grant.frames for bar in frames.bars)
    return (
        grant.vm,
        grant.bdf.short,
        f"ports {ports}" if ports else "no ports",
        f"BARs {bars}" if bars else "no BARs",
        f"pin {grant.pin.ioapic}/{grant.pin.pin} → guest IRQ {grant.dest}",
    )


def grants_json(passthrough: Passthrough) -> list[dict[str, Any]]:
    """Return the grants as plain JSON values; addresses are hexadecimal texts, as in `probe-pci --json`."""
    return [
        {
            "vm": grant.vm,
            "bdf": str(grant.bdf),
            "name": grant.name,
            "ports": [{"start": f"{p.start:#x}", "end": f"{p.end:#x}", "bar": p.bar} for p in grant.ports],
            "memory": [
                {"paddr": f"{f.paddr:#x}", "size": f.size, "bars": list(f.bars)} for f in grant.frames
            ],
            "pin": {"ioapic": grant.pin.ioapic, "pin": grant.pin.pin, "grade": grant.pin.grade},
            "dest": grant.dest,
            "iospace_domain": passthrough.domains[grant.vm],
        }
        for grant in passthrough.grants
    ]
