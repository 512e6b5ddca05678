"""Which function a person means by `vm0=17:00.0`: by BDF, by MAC, or by a port's name in the profile. Pure.

Bus numbers move with cards and settings, so a name that is not in the capture is answered with where the same
device is now, when that can be told.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bringup.base.errors import ProfileError, UsageError
from bringup.base.near import did_you_mean
from bringup.pci.match.ports import ids_of, match_nics, seen_at
from bringup.pci.model import Bdf, Function, Machine
from bringup.profile.model import ExpectedNic, Profile

_VM = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_MAC = re.compile(r"[0-9a-fA-F]{2}(?:[:-][0-9a-fA-F]{2}){5}")
_BDF_LIKE = re.compile(r"[0-9a-fA-F:]{1,13}\.[0-9a-fA-F]{1,2}")
_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Wanted:
    """One `--assign`: the VM's instance and the device as a person wrote it."""

    vm: str
    device: str

    def __str__(self) -> str:
        return f"{self.vm}={self.device}"


def parse_wanted(text: str) -> Wanted:
    """Return what `VM=DEVICE` asks for; raises UsageError."""
    vm, equals, device = (part.strip() for part in text.partition("="))
    if not equals or not _VM.fullmatch(vm) or not device or len(device) > 128 or not device.isprintable():
        raise UsageError(
            f'--assign "{text}" is not VM=DEVICE',
            hint="as in vm0=17:00.0, vm0=ac:1f:6b:0e:30:17 or vm0=lan1",
        )
    return Wanted(vm, device)


def find_device(device: str, machine: Machine, profile: Profile | None = None) -> Function:
    """Return the function that `device` names in a capture.

    Raises ProfileError when the capture has none such, or several; the message says what is near.
    """
    if _MAC.fullmatch(device):
        return _by_mac(device.lower().replace("-", ":"), machine)
    if _BDF_LIKE.fullmatch(device):
        return _by_bdf(device, machine, profile)
    return _by_name(device, machine, profile)


def _by_mac(mac: str, machine: Machine) -> Function:
    known = {i.mac.lower(): f for f in machine.functions for i in f.net or () if i.mac}
    if mac in known:
        return known[mac]
    if not known:
        raise ProfileError(
            f"no MAC is in this capture, so {mac} cannot be found", hint="name the device by its BDF"
        )
    raise ProfileError(f"no port of this capture has the MAC {mac}", hint=f"there are {_some(sorted(known))}")


def _by_bdf(text: str, machine: Machine, profile: Profile | None) -> Function:
    try:
        bdf = Bdf.parse(text)
    except ValueError as error:
        raise UsageError(str(error), hint="as lspci and probe-pci print it") from None
    function = machine.find(bdf)
    if function is not None:
        return function
    moved = _moved(bdf, machine, profile)
    if moved is not None:
        raise ProfileError(
            f"{bdf.short} is not in the capture: it moved to {moved.bdf.short}? "
            f"({ids_of(moved)} stands there)",
            hint=f"if that is the one you mean, assign {moved.bdf.short}",
        )
    near = _nearest(bdf, machine)
    raise ProfileError(
        f"{bdf.short} is not in the capture",
        hint=f"near it: {near}" if near else "look at `bringup probe-pci --all` for what is",
    )


def _moved(bdf: Bdf, machine: Machine, profile: Profile | None) -> Function | None:
    """Return what the profile has seen at `bdf`, where this capture has it."""
    for at, nic in _ports(machine, profile).items():
        if bdf in seen_at(nic):
            return machine.find(at)
    # The same slot and function number under another bus, as long as there is only one such Ethernet port.
    place = (bdf.device, bdf.function)
    like = [f for f in machine.functions if f.is_ethernet and (f.bdf.device, f.bdf.function) == place]
    return like[0] if len(like) == 1 else None


def _ports(machine: Machine, profile: Profile | None) -> dict[Bdf, ExpectedNic]:
    return match_nics(machine.functions, profile) if profile else {}


def _nearest(bdf: Bdf, machine: Machine) -> str:
    ethernet = [f.bdf for f in machine.functions if f.is_ethernet and f.bdf.domain == bdf.domain]
    same_bus = [f.bdf for f in machine.functions if (f.bdf.domain, f.bdf.bus) == (bdf.domain, bdf.bus)]
    ordered = sorted(ethernet or same_bus, key=lambda b: (abs(b.bus - bdf.bus), b))
    return _some([other.short for other in ordered])


def _by_name(name: str, machine: Machine, profile: Profile | None) -> Function:
    if profile is None:
        raise ProfileError(
            f'"{name}" is no PCI address and no MAC, and without a profile no port has a name',
            hint="give --profile, or a BDF as in 17:00.0",
        )
    names = _names(profile.nics)
    wanted = [nic for nic in profile.nics if name.lower() in {n.lower() for n in _names([nic])}]
    if not wanted:
        meant = did_you_mean(name, names)
        raise ProfileError(f'{profile.name} knows no port "{name}"{meant}', hint=f"it knows {_some(names)}")
    found = [bdf for bdf, nic in _ports(machine, profile).items() if nic in wanted]
    if len(found) == 1 and (function := machine.find(found[0])) is not None:
        return function
    kind = wanted[0].id.value
    alike = found or [f.bdf for f in machine.functions if ids_of(f) == kind]
    could = f"{_some([bdf.short for bdf in alike])} could be it" if alike else "it has no such device"
    raise ProfileError(
        f'which function is "{name}" ({kind}) cannot be told from this capture: {could}',
        hint="name it by its BDF",
    )


def _names(nics: Iterable[ExpectedNic]) -> list[str]:
    names = [name for nic in nics for name in (nic.name, nic.smbios_name and nic.smbios_name.value) if name]
    return list(dict.fromkeys(names))


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
