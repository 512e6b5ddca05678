"""Power and boot override by Redfish (DSP0268, ComputerSystem), beside IPMI or instead of it.

    bmc = { address = "10.0.0.17", user = "ADMIN", password = { file = "~/.config/bringup/e300-1" } }
    power = "redfish"    # or { driver = "redfish", port = 443, certificate = "SHA-256 in hex", system = "1" }

The console stays what `serial` says. Without `certificate`, whatever certificate the BMC shows is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from bringup.base.errors import LabError, NotOfferedError, OverrideError, OverrideRefusedError, ProfileError
from bringup.base.events import Emit, Event
from bringup.power.base import (
    BootOverride,
    Device,
    Drivers,
    Identified,
    Media,
    MediaSlot,
    Override,
    Person,
    Power,
    PowerState,
)
from bringup.power.redfish import ROOT, RedfishService, as_dict, as_list, linked, linked_all, member
from bringup.power.redfish_log import TIMEOUT_S, RedfishLog
from bringup.power.settings import power_settings

if TYPE_CHECKING:
    from bringup.lab.inventory import Board

# DSP0268 Resource.PowerState; PoweringOn, PoweringOff and Paused are neither.
_STATES = {"On": PowerState.ON, "Off": PowerState.OFF}
# DSP0268 Resource.ResetType: the first that the system allows.
_RESETS = {
    "power on": ("On", "ForceOn"),
    "power off": ("ForceOff",),
    "power reset": ("ForceRestart",),
    "soft power off": ("GracefulShutdown", "PushPowerButton"),
}
# DSP0268 ComputerSystem.BootSource.
_TARGETS: dict[Device, str] = {
    "none": "None",
    "network": "Pxe",
    "disk": "Hdd",
    "cdrom": "Cd",
    "floppy": "Floppy",
    "setup": "BiosSetup",
    "diagnostic": "Diags",
}
# DSP0268 VirtualMedia.MediaType.
_DISCS = {"CD", "DVD"}


class RedfishSettings(BaseModel):
    """`[boards.NAME.power]` of this driver; `system` is needed where the service has several."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    port: Annotated[int, Field(ge=1, le=65535)] = 443
    system: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._~:-]{1,128}$")] | None = None
    certificate: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None


def open_drivers(board: Board, emit: Emit, _person: Person | None) -> Drivers:
    """Return power and boot override by Redfish; nothing is sent before the first call on them."""
    settings = power_settings(board, RedfishSettings)
    if board.bmc is None:
        raise ProfileError(
            f"{board.power_place}: power by Redfish needs to know where the BMC is",
            hint=f"give [boards.{board.name}] `bmc = {{ address, user, password }}`",
        )
    bmc, certificate = board.bmc, settings.certificate
    service = RedfishService(bmc.address, settings.port, bmc.user, bmc.password, certificate=certificate)
    system = ComputerSystem(service, settings.system)
    told = board.profile.bmc.media_boot_target
    targets = _TARGETS if told is None else {**_TARGETS, "cdrom": told.value}
    override = RedfishOverride(system, emit, targets)
    log = RedfishLog(service.within(TIMEOUT_S), system.where)
    media = RedfishMedia(service, system)
    return Drivers(RedfishPower(system), override, RedfishIdentity(system), media, log)


class ComputerSystem:
    """The one system behind a service, or the one that is named; where it is is asked once."""

    def __init__(self, service: RedfishService, name: str | None = None) -> None:
        self._service = service
        self._name = name
        self._path: str | None = None

    def __str__(self) -> str:
        return str(self._service)

    def read(self, what: str) -> dict[str, Any]:
        """Return the system as it is now."""
        return self._service.get(self.where(), what)

    def set_boot(self, boot: dict[str, str], what: str) -> None:
        """Change its boot override."""
        etag = self.read(what).get("@odata.etag")
        told = etag if isinstance(etag, str) else None
        self._service.patch(self.where(), {"Boot": boot}, what, etag=told)

    def reset(self, what: str) -> None:
        """Start one of `_RESETS`; raises NotOfferedError where the system allows none of its types."""
        action = member(member(self.read(what), "Actions"), "#ComputerSystem.Reset")
        target = action.get("target")
        if not isinstance(target, str):
            raise NotOfferedError(f"{self} offers no reset action ({what})")
        allowed = action.get("ResetType@Redfish.AllowableValues")
        kinds = _RESETS[what]
        kind = next((kind for kind in kinds if not isinstance(allowed, list) or kind in allowed), None)
        if kind is None:
            raise NotOfferedError(f"{self} does not offer {what}, only {', '.join(map(str, allowed or []))}")
        self._service.post(target, {"ResetType": kind}, what)

    def where(self) -> str:
        """Return its path; raises LabError."""
        if self._path is None:
            self._path = self._found()
        return self._path

    def _found(self) -> str:
        root = self._service.get(ROOT, "the service's root")
        systems = member(root, "Systems").get("@odata.id", f"{ROOT}Systems")
        if self._name is not None:
            return f"{str(systems).rstrip('/')}/{self._name}"
        listed = self._service.get(str(systems), "the list of systems").get("Members")
        paths = [str(as_dict(each).get("@odata.id")) for each in listed] if isinstance(listed, list) else []
        if len(paths) != 1:
            names = ", ".join(path.rstrip("/").rpartition("/")[2] for path in paths) or "none"
            raise ProfileError(
                f"{self} has {len(paths)} systems, and one has to be meant: {names}",
                hint='power = { driver = "redfish", system = "NAME" }',
            )
        return paths[0]


class RedfishPower(Power):
    """The power of one system."""

    def __init__(self, system: ComputerSystem) -> None:
        self._system = system

    def describe(self) -> str:
        """Return who switches."""
        return str(self._system)

    def state(self) -> PowerState:
        """Read the power state once; on the way from one to the other it is UNKNOWN."""
        told = self._system.read("power state").get("PowerState")
        return _STATES.get(str(told), PowerState.UNKNOWN)

    def on(self) -> None:
        """Ask for power on."""
        self._system.reset("power on")

    def off(self) -> None:
        """Ask for power off."""
        self._system.reset("power off")

    def reset(self) -> None:
        """Ask for a hard reset."""
        self._system.reset("power reset")

    def soft(self) -> None:
        """Ask the operating system to shut down."""
        self._system.reset("soft power off")


class RedfishOverride(Override):
    """The boot override of one system; emits what is set and read. `targets` are its words for devices."""

    def __init__(self, system: ComputerSystem, emit: Emit, targets: Mapping[Device, str] = _TARGETS) -> None:
        self._system = system
        self._emit = emit
        self._targets = targets

    def describe(self) -> str:
        """Return who keeps it."""
        return str(self._system)

    def set(self, override: BootOverride) -> bool:
        """Set it and read it back; return whether all that matters could be read.

        Raises OverrideRefusedError, and OverrideError where something else is held.
        """
        wanted = encoded(override, self._targets)
        try:
            self._system.set_boot(wanted, "boot override")
        except NotOfferedError as error:
            raise OverrideRefusedError(error.message, hint=error.hint) from None
        except LabError as error:
            if type(error) is LabError:
                raise OverrideRefusedError(error.message, hint=error.hint) from None
            raise
        data = {"device": override.device, "persistent": override.persistent, "uefi": override.uefi}
        self._emit(Event("power", "override.set", f"{override}", {**data, "expires": False}))
        boot = member(self._system.read("boot override"), "Boot")
        held = decoded(boot, self._targets)
        if held is None or held != override:
            if held is not None and not boot.get("BootSourceOverrideMode") and _same_but_mode(held, override):
                text = f"{override}, read back without its mode: the board's first DHCP packet will tell"
                self._emit(Event("power", "override.unsure", text, data))
                return False
            holds = "something unknown" if held is None else str(held)
            raise OverrideError(
                f"{self.describe()} did not keep the boot override: asked for {override}, it holds {holds}"
            )
        self._emit(Event("power", "override.read", f"{override}, read back", data))
        return True

    def clear(self) -> None:
        """Leave the board its own order."""
        self.set(BootOverride("none"))

    def read(self) -> BootOverride:
        """Return what boots next; raises OverrideError for what has no name here."""
        held = decoded(member(self._system.read("boot override"), "Boot"), self._targets)
        if held is None:
            raise OverrideError(f"{self.describe()} holds a boot override that is not known here")
        return held


class RedfishIdentity(Identified):
    """What a system calls itself: its UUID, which is that of SMBIOS and of IPMI's system GUID."""

    def __init__(self, system: ComputerSystem) -> None:
        self._system = system

    def identity(self) -> str | None:
        """Ask for it; one of zeros or ones is nobody's."""
        told = self._system.read("UUID").get("UUID")
        name = told.lower() if isinstance(told, str) else ""
        return f"GUID {name}" if len(set(name.replace("-", ""))) > 1 else None


class RedfishMedia(Media):
    """The virtual media of one system: its own, else those of the managers that manage it."""

    def __init__(self, service: RedfishService, system: ComputerSystem) -> None:
        self._service = service
        self._system = system

    def slots(self) -> tuple[MediaSlot, ...]:
        """Return the drives there are."""
        return tuple(_slot(body) for body in self._drives())

    def insert(self, url: str) -> MediaSlot:
        """Put an image into the first free drive for discs, and read back that it is there."""
        free = [body for body in self._drives() if _DISCS & set(_slot(body).kinds)]
        if not free:
            raise NotOfferedError(f"{self._system} has no virtual drive for discs")
        drive = next((body for body in free if _slot(body).image is None), None)
        if drive is None:
            holds = _slot(free[0]).image
            raise LabError(
                f"the virtual drives of {self._system} are taken: {holds}", hint="bringup media BOARD eject"
            )
        # Nothing but the image: some BMCs refuse the rest, whose defaults (inserted, read only) are right.
        self._service.post(_action(drive, "InsertMedia"), {"Image": url}, "insert media")
        slot = _slot(self._service.get(str(drive["@odata.id"]), "virtual media"))
        if slot.image is None:
            raise LabError(
                f"{self._system} took {url} and shows nothing in {slot.name}",
                hint="can the BMC reach that address? it fetches by itself, with HEAD and ranges",
            )
        return slot

    def eject(self) -> tuple[MediaSlot, ...]:
        """Take out whatever is in."""
        taken = [body for body in self._drives() if _slot(body).image is not None]
        for body in taken:
            self._service.post(_action(body, "EjectMedia"), {}, "eject media")
        return tuple(map(_slot, taken))

    def _drives(self) -> list[dict[str, Any]]:
        what = "virtual media"
        system = self._system.read(what)
        path = _media_of(system)
        for manager in linked_all(member(system, "Links").get("ManagedBy")):
            path = path or _media_of(self._service.get(manager, what))
        if path is None:
            return []
        listed = self._service.get(path, what).get("Members")
        return [self._service.get(each, what) for each in linked_all(listed)]


def _media_of(holder: dict[str, Any]) -> str | None:
    return linked(holder.get("VirtualMedia"))


def _slot(body: dict[str, Any]) -> MediaSlot:
    kinds = tuple(str(kind) for kind in as_list(body.get("MediaTypes")))
    image = body.get("Image")
    return MediaSlot(str(body.get("Id") or body.get("Name")), kinds, str(image) if image else None)


def _action(body: dict[str, Any], name: str) -> str:
    target = member(member(body, "Actions"), f"#VirtualMedia.{name}").get("target")
    return str(target) if target else f"{body['@odata.id']}/Actions/VirtualMedia.{name}"


def encoded(override: BootOverride, targets: Mapping[Device, str] = _TARGETS) -> dict[str, str]:
    """Return an override as the member `Boot`; raises OverrideRefusedError for a device without a word."""
    target = targets.get(override.device)
    if target is None:
        raise OverrideRefusedError(f"Redfish has no word for booting from {override.device}")
    if override.device == "none":
        return {"BootSourceOverrideEnabled": "Disabled", "BootSourceOverrideTarget": target}
    return {
        # Always whole: BMCs forget the one that is not sent.
        "BootSourceOverrideEnabled": "Continuous" if override.persistent else "Once",
        "BootSourceOverrideTarget": target,
        "BootSourceOverrideMode": "UEFI" if override.uefi else "Legacy",
    }


def decoded(boot: Mapping[str, Any], targets: Mapping[Device, str] = _TARGETS) -> BootOverride | None:
    """Return the override that the member `Boot` holds, None for one that has no name here."""
    enabled, target = boot.get("BootSourceOverrideEnabled"), boot.get("BootSourceOverrideTarget")
    if enabled in (None, "Disabled") or target in (None, "None"):
        return BootOverride("none")
    device = next((device for device, word in targets.items() if word == target), None)
    if device is None or enabled not in ("Once", "Continuous"):
        return None
    uefi = boot.get("BootSourceOverrideMode") == "UEFI"
    return BootOverride(device, persistent=enabled == "Continuous", uefi=uefi)


def _same_but_mode(one: BootOverride, other: BootOverride) -> bool:
    return (one.device, one.persistent) == (other.device, other.persistent)
