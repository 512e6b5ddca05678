"""Which function a person means by `vm0=17:00.0`: by BDF, by MAC, or by a port's name in the profile. Pure.

Bus numbers move with cards and settings, so a name that is not in the capture is answered with where the same
device is now, when that can be told.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from bringup.errors import ProfileError, UsageError
from bringup.pci.model import Bdf, Function, Machine
from bringup.profile_model import Nic, Profile

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


def nic_function(nic: Nic, machine: Machine, profile: Profile) -> Function | None:
    """Return the function that is this NIC of the profile: by ids, and among equals where it was seen.

    Where none stands at a known place, the n-th of the profile's like NICs is the n-th of the capture's, as
    long as both have equally many; otherwise it cannot be told (None).
    """
    alike = [f for f in machine.functions if _is(nic, f)]
    seen = {bdf.lower() for bdf in nic.seen_at.value} if nic.seen_at else set()
    at_place = [f for f in alike if f.bdf.short in seen or str(f.bdf) in seen]
    if len(at_place) == 1:
        return at_place[0]
    siblings = [other for other in profile.nics if _ids(other) == _ids(nic)]
    return alike[siblings.index(nic)] if len(siblings) == len(alike) else None


def function_id(function: Function) -> str:
    """Return `8086:1521`, with what was not observed shown as `?`."""
    return ":".join("?" if part is None else f"{part:04x}" for part in (function.vendor, function.device))


def subsystem_id(function: Function) -> str | None:
    """Return `1734:11d1`; None where it was not observed or there is none."""
    return None if function.subsystem is None else ":".join(f"{part:04x}" for part in function.subsystem)


def _ids(nic: Nic) -> tuple[str, str | None]:
    return nic.id.value, nic.subsystem.value if nic.subsystem else None


def _is(nic: Nic, function: Function) -> bool:
    subsystem = nic.subsystem and nic.subsystem.value
    # A source that tells no subsystem contradicts none.
    return function_id(function) == nic.id.value and (
        subsystem is None or function.subsystem is None or subsystem_id(function) == subsystem
    )


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
            f"({function_id(moved)} stands there)",
            hint=f"if that is the one you mean, assign {moved.bdf.short}",
        )
    near = _nearest(bdf, machine)
    raise ProfileError(
        f"{bdf.short} is not in the capture",
        hint=f"near it: {near}" if near else "look at `bringup probe-pci --all` for what is",
    )


def _moved(bdf: Bdf, machine: Machine, profile: Profile | None) -> Function | None:
    """Return what the profile has seen at `bdf`, where this capture has it."""
    for nic in profile.nics if profile else ():
        if profile and nic.seen_at and bdf.short in nic.seen_at.value:
            function = nic_function(nic, machine, profile)
            if function is not None:
                return function
    # The same slot and function number under another bus, as long as there is only one such Ethernet port.
    like = [
        f
        for f in machine.functions
        if f.is_ethernet and (f.bdf.device, f.bdf.function) == (bdf.device, bdf.function)
    ]
    return like[0] if len(like) == 1 else None


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
        near = get_close_matches(name.lower(), [n.lower() for n in names], n=1)
        meant = next((f"; did you mean {n}?" for n in names if near and n.lower() == near[0]), "")
        raise ProfileError(f'{profile.name} knows no port "{name}"{meant}', hint=f"it knows {_some(names)}")
    found = list({f.bdf: f for nic in wanted if (f := nic_function(nic, machine, profile))}.values())
    if len(found) == 1:
        return found[0]
    alike = [f.bdf.short for f in machine.functions if _is(wanted[0], f)]
    raise ProfileError(
        f'which function is "{name}" ({wanted[0].id.value}) cannot be told from this capture: '
        + (f"{', '.join(alike)} could be it" if alike else "it has no such device"),
        hint="name it by its BDF",
    )


def _names(nics: Iterable[Nic]) -> list[str]:
    names = [name for nic in nics for name in (nic.name, nic.smbios_name and nic.smbios_name.value) if name]
    return list(dict.fromkeys(names))


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
