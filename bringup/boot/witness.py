"""What the events of all sources prove about one boot: the facts that a verdict rests on. Pure.

All sources meet on one clock (CLOCK_MONOTONIC). What was seen before the board was off, or before it was
reset, proves nothing about this boot and is forgotten.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from bringup.base.events import Event
from bringup.base.stage import Stage
from bringup.boot.evidence import BootEvidence, Gap, SeenFailure, Suite, VmSeen
from bringup.transcript import told
from bringup.transcript.failures.firmware import NOTHING_TO_BOOT
from bringup.transcript.markers import (
    HAND_OVER,
    MODULE_LINE,
    SUITE_PASSED,
    SUITE_RESULT,
    SUITE_STARTS,
    is_ours,
)

_SERVED_AS = {"loader": Stage.LOADER, "loader-script": Stage.LOADER, "kernel": Stage.KERNEL_IMAGE}
_STRANGERS_MAX = 8
_WAIT = "wait until it is free, and boot again"
# SeaBIOS and legacy BIOSes name what they boot from.
_DISK_MARKERS = ("Booting from Hard Disk...",)
_MODULE_ROLES = ("module", "initrd")
_WITH_KERNEL = ("kernel", "boot-image")
_MODULE_NAME = re.compile(r"name='([^']*)'?")
# A line's end and a stray character are no text.
_TEXT_MIN = 8
# The loader's last words come after its last transfer.
_HAND_OVER_S = 1.0
# A BMC whose timer runs drops its boot flags so long after they were set (IPMI 2.0 28.13, parameter 3).
_OVERRIDE_KEPT_S = 60.0


class Witness:
    """Takes the events of a run; `boot` is what they prove.

    `modules` files besides the kernel make the MODULES stage, `logins` VMs the LOGIN stage (None: every VM
    that shows itself). DHCP packets from other than `macs` are somebody else's (any is the board's when none
    is given). Where the kernel does not print (`prints`), text after the hand-over is user space's. `guests`:
    where text is missing, what asks by DHCP while the image runs is a guest. `errand` takes the events of
    what a job wants beyond the boot.
    """

    def __init__(
        self,
        *,
        modules: int,
        logins: int | None,
        macs: tuple[str, ...] = (),
        prints: bool = True,
        guests: bool = False,
        errand: Mapping[str, Callable[[BootEvidence, Event], None]] | None = None,
        netboot: bool = True,
    ) -> None:
        self.boot = BootEvidence()
        self.console_lost_s: float | None = None
        self.console_held = False
        self.console_held_by: tuple[str, str] | None = None
        """Why the console is not to be had, in words, and what to do."""
        self.bmc_silent = False
        self.bmc_back_s: float | None = None
        self.override_read = self.override_unsure = self.override_absent = False
        self.override_until_s: float | None = None
        """When the BMC drops the override that was set, None where it keeps it."""
        self.carrier: bool | None = None
        self.rivals: list[str] = []
        self.own_segment = False
        self.searched_rivals = False
        self.servers_lost_s: float | None = None
        self.logged: dict[str, str] | None = None
        """What the board's own log says befell it since power-on, by kind; None where it was not read."""
        self._modules = modules
        self._logins = logins
        self._macs = frozenset(mac.lower() for mac in macs)
        self._prints = prints
        self._guests = guests
        self._errand = errand or {}
        self._netboot = netboot
        self._bytes = 0
        self._text = 0
        self._began_s: float | None = None

    def feed(self, event: Event) -> None:
        """Take one event; kinds that prove nothing are ignored."""
        if self._is_of_before(event):
            return
        handler, errand = _HANDLERS.get(event.kind), self._errand.get(event.kind)
        if handler is not None:
            handler(self, event)
        elif errand is not None:
            errand(self.boot, event)
        elif event.kind.startswith(("tftp.", "http.")):
            self.boot.transfer_s = event.at_s

    def _is_of_before(self, event: Event) -> bool:
        """Return whether this is of the board, and was seen before it was told to start."""
        if self._began_s is None or event.kind not in _OF_THE_BOARD:
            return False
        if event.kind == "console.activity":
            quiet = _last_s(event) < self._began_s
            if quiet and not event.data.get("port"):
                self._bytes, self._text = int(event.data.get("bytes", 0)), 0
            return quiet
        return event.at_s < self._began_s

    def _power_state(self, event: Event) -> None:
        state = str(event.data.get("state", "")).lower()
        if state == "off":
            self.boot = BootEvidence()
        elif state == "on":
            self.boot.reach(Stage.POWER, event, event.text or "power is on, confirmed")

    def _power_action(self, event: Event) -> None:
        """Forget what was seen before the board starts anew; the action is told before it is done."""
        action = event.data.get("action")
        if action in ("on", "reset"):
            self._began_s = event.at_s
        if action == "on":
            self.boot = BootEvidence()
        elif action == "reset":
            power = self.boot.reached.get(Stage.POWER)
            self.boot = BootEvidence(advanced_s=event.at_s)
            if power is not None:
                self.boot.reached[Stage.POWER] = power

    def _console_activity(self, event: Event) -> None:
        boot, last_s = self.boot, _last_s(event)
        count, text = int(event.data.get("bytes", 0)), int(event.data.get("image_bytes", 0))
        if event.data.get("port"):
            self._other_port_spoke(str(event.data["port"]), text, last_s)
            return
        if event.text:
            boot.tail = _quote(event)
        if count > self._bytes:
            self._bytes = count
            boot.heard_s = last_s
        grown, self._text = text != self._text, text
        if not grown or text < _TEXT_MIN:
            return
        boot.text_s = last_s
        if not self._prints and self._loaded_s is not None and Stage.USER_SPACE not in boot.reached:
            boot.reach(
                Stage.USER_SPACE,
                event,
                f"{text} characters after the hand-over, which the kernel does not print",
            )

    @property
    def _loaded_s(self) -> float | None:
        """When the image was on the board, as far as that was seen; the beginning where nothing is served.

        With a boot image firmware and GRUB go on talking after it was fetched, until GRUB's last words.
        """
        if not self._netboot:
            return 0.0
        if self.boot.boot_image_served:
            return self.boot.handed_over_s
        loaded = self.boot.reached.get(Stage.MODULES if self._modules else Stage.KERNEL_IMAGE)
        return None if loaded is None else loaded.at_s

    def _other_port_spoke(self, port: str, text: int, last_s: float) -> None:
        """Note that the image speaks where the console does not show it; firmware may speak on every port."""
        loaded_s, over_s = self._loaded_s, self.boot.handed_over_s
        if loaded_s is None or text < _TEXT_MIN:
            return
        if last_s > (loaded_s + _HAND_OVER_S if over_s is None else over_s):
            self.boot.other_port = self.boot.other_port or (last_s, port, f"{port}: {text} characters")

    def _bmc_silent(self, _event: Event) -> None:
        self.bmc_silent = True

    def _bmc_back(self, event: Event) -> None:
        self.bmc_silent, self.bmc_back_s = False, event.at_s

    def _console_lost(self, event: Event) -> None:
        self.console_lost_s = event.at_s

    def _console_held(self, event: Event) -> None:
        self.console_lost_s, self.console_held = event.at_s, True
        if event.data.get("reason"):
            self.console_held_by = (str(event.data["reason"]), str(event.data.get("hint") or _WAIT))

    def _console_back(self, event: Event) -> None:
        self.console_lost_s, self.console_held = None, False
        if self.bmc_silent:  # it answers on the console before it is asked for the power
            self._bmc_back(event)
        seconds = event.data.get("seconds")
        if seconds is not None:
            self.boot.gaps.append(Gap(event.at_s - float(seconds), event.at_s))

    def _console_answered(self, event: Event) -> None:
        """Note that something reads what is typed: once the kernel has started, that is user space."""
        furthest = self.boot.furthest
        if furthest is not None and furthest >= Stage.KERNEL:
            self.boot.reach(Stage.USER_SPACE, event, f'answered Enter: "{event.text}"')

    def _console_stage(self, event: Event) -> None:
        boot, stage, marker = self.boot, Stage(event.data["stage"]), str(event.data.get("marker"))
        line = _quote(event)
        if event.data.get("port"):
            if boot.other_port is None and stage >= Stage.KERNEL:
                boot.other_port = (event.at_s, str(event.data["port"]), line)
            return
        boot.heard_s = boot.console_stage_s = event.at_s
        if boot.boots.begins(stage, marker):
            boot.restart(event, line)
        boot.last_line = boot.tail = line
        if self._is_of_the_disk(stage, marker):
            if boot.not_served is None:
                boot.not_served, boot.not_served_s = line, event.at_s
            return
        if stage >= Stage.KERNEL:
            boot.text_s = event.at_s
            if boot.console_kernel_s is None:
                boot.console_kernel_s = event.at_s
        if stage is Stage.LOADER:
            boot.loader_said_s = event.at_s
        if marker == HAND_OVER:
            boot.handed_over_s = event.at_s
        self._note_image(marker, event, line)
        if stage in (Stage.VMM, Stage.GUEST, Stage.LOGIN):
            stage = self._note_vm(stage, event)
        boot.reach(stage, event, line)

    def _is_of_the_disk(self, stage: Stage, marker: str) -> bool:
        """Return whether a loader speaks that was not served; this tool's own are known by their lines."""
        if marker in _DISK_MARKERS:
            return self._netboot
        ours = Stage.LOADER in self.boot.reached or is_ours(marker)
        return (
            self._netboot
            and stage is Stage.LOADER
            and not ours
            and Stage.LOADER not in self.boot.transferring
        )

    def _note_image(self, marker: str, event: Event, line: str) -> None:
        boot = self.boot
        if marker == MODULE_LINE:
            name = _MODULE_NAME.search(event.text)
            boot.module_name = boot.module_name or (name and name.group(1)) or None
        elif marker in (SUITE_STARTS, SUITE_RESULT, SUITE_PASSED):
            boot.suite = boot.suite or Suite()
            if marker == SUITE_RESULT:
                boot.suite.result = event.text.removeprefix(SUITE_RESULT).strip().rstrip(".")
            if marker == SUITE_PASSED and boot.suite.passed is None:
                boot.suite.passed = (event.at_s, line)

    def _note_vm(self, stage: Stage, event: Event) -> Stage:
        """Note what a VM shows; return the stage of the boot: a login counts when enough VMs have one."""
        boot = self.boot
        name = str(event.data.get("vm_name") or f"VM {event.data.get('vm') or 0}")
        vm = boot.vms.setdefault(name, VmSeen(name))
        vm.vmm = vm.vmm or stage is Stage.VMM
        vm.guest = vm.guest or stage is not Stage.VMM
        if stage is not Stage.LOGIN:
            return stage
        vm.login_s = event.at_s if vm.login_s is None else vm.login_s
        wanted = self._logins if self._logins is not None else boot.vms_seen
        return stage if len(boot.logins) >= wanted else Stage.GUEST

    def _console_failure(self, event: Event) -> None:
        boot, failure = self.boot, told.failure_of(event)
        if failure is None:
            return
        lines, vm = tuple(event.data.get("lines", ())), event.data.get("vm_name")
        seen = SeenFailure(
            failure, event.at_s, _quote(event), boot.furthest, lines, bool(event.data.get("whole", True)), vm
        )
        boot.failures.append(seen)
        if event.data.get("port"):
            return
        boot.tail = seen.seen
        if failure.code == NOTHING_TO_BOOT:
            boot.not_served = None  # a disk was tried, and held nothing
        boot.heard_s = boot.text_s = event.at_s
        if vm is not None and failure.fatal:
            trouble = boot.vms.setdefault(str(vm), VmSeen(str(vm)))
            trouble.trouble = trouble.trouble or failure.cause

    def _console_text(self, event: Event) -> None:
        """Note a text that a person waits for, on whatever line it came."""
        expression = str(event.data.get("marker"))
        if event.data.get("which") == "until":
            self.boot.texts.setdefault(expression, (event.at_s, _quote(event)))
        elif self.boot.unwanted is None:
            self.boot.unwanted = (event.at_s, expression, _quote(event))

    def _console_test(self, event: Event) -> None:
        boot, test = self.boot, told.test_of(event)
        boot.heard_s = boot.text_s = event.at_s
        boot.suite = boot.suite or Suite()
        if test.failed:
            boot.suite.failed.append(test.name)
        else:
            boot.suite.number, boot.suite.name, boot.suite.of = test.number, test.name, test.of

    def _console_nic(self, event: Event) -> None:
        self.boot.nics.take(str(event.data.get("vm_name") or "guest"), told.nic_of(event))

    def _dhcp(self, event: Event) -> None:
        boot, name = self.boot, event.kind.removeprefix("dhcp.")
        mac = str(event.data.get("mac", "")).lower()
        if self._macs and mac and mac not in self._macs:
            if mac not in boot.strangers and len(boot.strangers) < _STRANGERS_MAX:
                boot.strangers.append(mac)
            return
        if name in ("discover", "ignored") and event.data.get("arch") is not None:
            boot.ask_as(str(event.data["arch"]), event.at_s)
        if name == "discover":
            furthest = boot.furthest
            begun = furthest is not None and furthest >= Stage.MODULES
            if begun and _is_boot_client(event):
                boot.restart(event, event.text or "a network boot is asked for again")
            elif begun and self._guests and (not self._prints or boot.gaps or self.console_held):
                boot.guest_asked = True
                boot.reach(Stage.GUEST, event, event.text or f"a guest asks by DHCP: {mac}")
            boot.reach(Stage.FIRMWARE, event, event.text or "a network boot was asked for")
        elif name in ("ack", "reply") and event.data.get("file"):
            boot.reach(Stage.DHCP, event, event.text or "the DHCP request was answered")
        boot.dhcp.add(name)

    def _served(self, event: Event) -> None:
        boot, role = self.boot, event.data.get("role")
        boot.transfer_s = event.at_s
        evidence = event.text or f"{event.data.get('path')} by {event.source.upper()}"
        if role in _WITH_KERNEL:
            boot.kernel_served = True
        if role == "boot-image":
            boot.boot_image_served = True
            for stage in self._in_boot_image:
                boot.reach(stage, event, evidence)
        elif role in _SERVED_AS:
            boot.reach(_SERVED_AS[role], event, evidence)
        elif role in _MODULE_ROLES:
            boot.modules.add(str(event.data.get("path")))
            if len(boot.modules) >= self._modules:
                boot.reach(Stage.MODULES, event, evidence)

    @property
    def _in_boot_image(self) -> tuple[Stage, ...]:
        """The stages of the one file that holds GRUB, kernel and modules."""
        return (Stage.LOADER, Stage.KERNEL_IMAGE, *((Stage.MODULES,) if self._modules else ()))

    def _serving(self, event: Event) -> None:
        boot, role = self.boot, event.data.get("role")
        boot.transfer_s = event.at_s
        boot.asked_by.add(event.source)
        boot.asked.add(str(event.data.get("path")))
        if role in _WITH_KERNEL:
            boot.kernel_served = True
        if role == "boot-image":
            boot.transferring.update(self._in_boot_image)
            return
        stage = Stage.MODULES if role in _MODULE_ROLES else _SERVED_AS.get(str(role))
        # TFTP tells no role at its start; before the kernel it can only be the loader.
        boot.transferring.add(stage or Stage.LOADER)

    def _not_served(self, event: Event) -> None:
        """Note a name that nobody here told the board of; a loader of ours tries many names by itself."""
        boot, name = self.boot, event.data.get("path")
        boot.transfer_s = event.at_s
        boot.asked_by.add(event.source)
        unknown = name is not None and name not in boot.asked and Stage.LOADER not in boot.reached
        if unknown and name not in boot.foreign_names and len(boot.foreign_names) < _STRANGERS_MAX:
            boot.foreign_names.append(str(name))

    def _rival(self, event: Event) -> None:
        """Note another DHCP server; one that was there before power-on is there during the boot."""
        server = str(event.data.get("server", "another server"))
        if server not in self.rivals and len(self.rivals) < _STRANGERS_MAX:
            self.rivals.append(server)

    def _searched_rivals(self, _event: Event) -> None:
        self.searched_rivals = True

    def _serves(self, event: Event) -> None:
        self.own_segment = event.data.get("mode") == "own-segment"

    def _carrier(self, event: Event) -> None:
        self.carrier = bool(event.data.get("carrier"))

    def _override_read(self, _event: Event) -> None:
        self.override_read = True

    def _override_set(self, event: Event) -> None:
        self.override_until_s = event.at_s + _OVERRIDE_KEPT_S if event.data.get("expires") else None

    def _override_unsure(self, _event: Event) -> None:
        self.override_unsure = True

    def _override_absent(self, _event: Event) -> None:
        self.override_absent = True

    def _log_read(self, event: Event) -> None:
        self.logged = {}
        for entry in event.data.get("entries", ()):
            self.logged.setdefault(str(entry["kind"]), str(entry["text"]))

    def _held_up(self, event: Event) -> None:
        self.boot.held_up.append((event.at_s, float(event.data.get("seconds", 0.0))))

    def _servers_lost(self, event: Event) -> None:
        self.servers_lost_s = event.at_s


def _quote(event: Event) -> str:
    line, port = event.data.get("line"), event.data.get("port")
    where = port or "console" if line is None else f"{port or 'console'} line {line}"
    return f'{where}: "{event.text}"'


def _last_s(event: Event) -> float:
    """Return when the last character came that an event counts."""
    return event.at_s - float(event.data.get("quiet_s", 0.0))


def _is_boot_client(event: Event) -> bool:
    """Return whether a DHCP packet came from firmware or iPXE: an operating system asks without option 93."""
    vendor = str(event.data.get("vendor_class") or "")
    return event.data.get("arch") is not None or vendor.startswith(("PXEClient", "HTTPClient"))


# What is told of the way to the board holds whenever it was told.
_OF_THIS_HOST = (
    *("console.attached", "console.gap", "console.lost", "console.held"),
    *("dhcp.rival", "dhcp.searched"),
)
_HANDLERS: dict[str, Callable[[Witness, Event], None]] = {
    "power.state": Witness._power_state,
    "power.action": Witness._power_action,
    "console.attached": Witness._console_back,
    "console.gap": Witness._console_back,
    "console.lost": Witness._console_lost,
    "console.held": Witness._console_held,
    "bmc.silent": Witness._bmc_silent,
    "bmc.back": Witness._bmc_back,
    "bmc.log": Witness._log_read,
    "console.answered": Witness._console_answered,
    "console.activity": Witness._console_activity,
    "console.stage": Witness._console_stage,
    "console.failure": Witness._console_failure,
    "console.text": Witness._console_text,
    "console.test": Witness._console_test,
    "console.nic": Witness._console_nic,
    **{f"dhcp.{name}": Witness._dhcp for name in ("discover", "offer", "request", "ack", "ignored", "reply")},
    "dhcp.rival": Witness._rival,
    "dhcp.searched": Witness._searched_rivals,
    "link.carrier": Witness._carrier,
    "run.ready": Witness._serves,
    "override.read": Witness._override_read,
    "override.set": Witness._override_set,
    "override.unsure": Witness._override_unsure,
    "override.absent": Witness._override_absent,
    "tftp.error": Witness._not_served,
    "http.error": Witness._not_served,
    "tftp.done": Witness._served,
    "http.done": Witness._served,
    "tftp.start": Witness._serving,
    "http.start": Witness._serving,
    "tftp.progress": Witness._serving,
    "http.progress": Witness._serving,
    "run.servers_lost": Witness._servers_lost,
    "twin.held_up": Witness._held_up,
}

_OF_THE_BOARD = frozenset(
    kind
    for kind in _HANDLERS
    if kind.startswith(("console.", "dhcp.", "tftp.", "http.")) and kind not in _OF_THIS_HOST
)
