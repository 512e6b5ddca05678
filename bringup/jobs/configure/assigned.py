"""What an overlay and an update share: devices assigned to the VMs of an application, and what follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from bringup.base.errors import ProfileError, UsageError
from bringup.base.finding import Report
from bringup.camkes.app.build import Build
from bringup.camkes.assign.in_use import vms_of
from bringup.camkes.assign.model import Passthrough
from bringup.camkes.assign.request import Wanted, find_device, parse_wanted
from bringup.camkes.assign.solve import assign
from bringup.camkes.assign.stated import stated_pins
from bringup.camkes.claims.facts import MadeFrom
from bringup.camkes.model import Application
from bringup.camkes.vms.arm import arm_sign
from bringup.jobs.configure.facts import Facts, boards_among
from bringup.jobs.configure.request import AssignRequest
from bringup.lab.inventory import Lab
from bringup.pci.assessment import Assessment
from bringup.pci.model import Machine
from bringup.profile.model import Profile
from bringup.rules.check import check


@dataclass(frozen=True, slots=True)
class Assigned:
    """An application, the facts it is given, and what follows."""

    request: AssignRequest
    application: Application
    assessment: Assessment
    profile: Profile | None
    build: Build | None
    passthrough: Passthrough
    origin: MadeFrom
    practice: bool

    def check(self, draft: Application) -> Report:
        """Check a draft against the same facts; what was accepted, and no build denies, only warns."""
        return check(
            draft,
            assessment=self.assessment,
            build=self.build,
            profile=self.profile,
            practice=self.practice,
            accepted=tuple(self.request.accept),
        )


def assign_devices(
    lab: Lab | None, path: Path, request: AssignRequest, data: bytes | None = None
) -> Assigned:
    """Return what the request asks of the application at `path`, every refusal raised; nothing is written.

    `data`: the content that was read of it.
    """
    wanted = [parse_wanted(text) for text in request.assignments]
    application = request.read(path, data)
    facts = request.facts(lab)
    if (sign := arm_sign(application, facts.build)) is not None:
        raise ProfileError(
            f"{path} is an application for ARM ({sign}): its VMs are given devices by a device tree",
            hint="these settings are those of the x86 VMM (camkes-vm components/VM)",
        )
    if facts.assessment is None:
        raise UsageError("no capture is named", hint="--capture FILE, or --capture BOARD for its latest")
    _refuse_idle_pins(request, wanted, facts)
    passthrough = assign(facts.assessment, wanted, application, profile=facts.profile, accept=request.accept)
    return Assigned(
        request,
        application,
        facts.assessment,
        facts.profile,
        facts.build,
        replace(passthrough, sizing=_sizing(passthrough, application, request)),
        _origin(lab, request, facts.assessment.machine, facts.profile),
        facts.practice,
    )


def _refuse_idle_pins(request: AssignRequest, wanted: Sequence[Wanted], facts: Facts) -> None:
    """Refuse a pin that is stated for a device nobody is given: one of the two names is a mistake."""
    if facts.assessment is None or not request.pins:
        return
    machine = facts.assessment.machine
    given = {find_device(each.device, machine, facts.profile).bdf for each in wanted}
    idle = [bdf.short for bdf in stated_pins(request.pins, machine, facts.profile) if bdf not in given]
    if idle:
        raise UsageError(
            f"--pin states a pin for {', '.join(idle)}, which no VM is given",
            hint="name the device that is assigned",
        )


def _origin(lab: Lab | None, request: AssignRequest, machine: Machine, profile: Profile | None) -> MadeFrom:
    hashes = sorted({source.sha256 for source in machine.sources if source.sha256})
    digest = hashes[0] if len(hashes) == 1 else sha256("\n".join(hashes).encode()).hexdigest()
    names = " + ".join(dict.fromkeys(source.name for source in machine.sources))
    boards = boards_among(lab, request.captures)
    return MadeFrom(
        names,
        digest,
        boards[0].name if boards else None,
        profile.name if profile else None,
        tuple(request.accept),
    )


def _sizing(
    passthrough: Passthrough, application: Application, request: AssignRequest
) -> Mapping[str, tuple[tuple[str, int], ...]]:
    given = _given_ram(application, request)
    from bringup.camkes.vms.memory import plan_memory

    sizing = {}
    for vm in dict.fromkeys((*passthrough.vms, *given)):
        if vm not in given and not request.pools:
            continue
        grants = passthrough.of(vm)
        ram = given.get(vm, application.value(vm, "guest_ram_mb"))
        if not isinstance(ram, int):
            raise ProfileError(f"{vm} has no guest_ram_mb that --pools could go by", hint="--guest-ram MIB")
        bars = [frames.size for grant in grants for frames in grant.frames]
        settings = plan_memory(ram, bars=bars, devices=len(grants)).settings
        sizing[vm] = tuple(s for s in settings if vm in given or s[0] != "guest_ram_mb")
    return sizing


def _given_ram(application: Application, request: AssignRequest) -> dict[str, int]:
    """Return the RAM (MiB) that the request sets, by VM: one for all, and those of single ones."""
    names = list(vms_of(application))
    given = {} if request.guest_ram is None else dict.fromkeys(names, request.guest_ram)
    for text in request.vm_ram:
        vm, _, number = text.partition("=")
        if not (number.isascii() and number.isdigit() and len(number) <= 7):
            raise UsageError(f"--vm-ram {text} is no VM and MiB", hint="write --vm-ram vm1=256")
        if vm not in names:
            raise ProfileError(f"there is no {vm} to give RAM to", hint=f"there are {', '.join(names)}")
        given[vm] = int(number)
    return given
