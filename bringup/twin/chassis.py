"""The chassis of the twin: an emulator is the board, so the power state is whether its process lives.

One worker thread owns the machine. Power commands from the BMC, resets from the guest and the end of the
process all become jobs of its queue, so no two of them can race.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Queue
from typing import Any, Protocol

from bringup.base.errors import BringupError, LabError, MissingProgramError
from bringup.base.firmware import Firmware
from bringup.twin.bmc.request import Code, RefusedError
from bringup.twin.bochs.machine import BochsMachine, require_bochs
from bringup.twin.bochs.messages import Meaning
from bringup.twin.disks import TwinDisk
from bringup.twin.engines import BOCHS, QEMU, SCRIPTED, Engine
from bringup.twin.machine import (
    BOOT_MAC,
    BOOT_NIC,
    NICS,
    SOL_IO_PORT,
    SOUND,
    BootOrder,
    Flaws,
    Variant,
    Wiring,
    ovmf_files,
    qemu_arguments,
)
from bringup.twin.network import Namespace
from bringup.twin.qmp import Qmp
from bringup.twin.uart import start_reading

CYCLE_PAUSE_S = 1.0
_STOP_TIMEOUT_S = 5.0
_CABLE = re.compile(r"set_link (\w+) (?:on|off)", re.ASCII)


class RequestedBoot(Protocol):
    """What the chassis asks the BMC's boot flags for at every power-on self-test."""

    @property
    def device(self) -> str:
        """`network`, `disk`, `setup` or `none`."""

    @property
    def uefi(self) -> bool:
        """Whether the override asks for a UEFI boot."""


class AttachedBmc(Protocol):
    """What the chassis needs of the BMC."""

    def take_boot_flags(self) -> RequestedBoot:
        """Return the flags that hold for this boot; flags set for once are spent."""

    def serial_output(self, data: bytes) -> object:
        """Take bytes the board sent on its SOL port; may block while the SOL session catches up."""

    def attach_kcs(self, connection: socket.socket) -> None:
        """Serve the board's own interface to the BMC on this connection."""

    def log_power(self, on: bool) -> None:
        """Record a change of power in the event log."""


class Machine(Protocol):
    """A board that runs, from power-on to power-off."""

    def alive(self) -> bool:
        """Return whether its process lives."""

    def write_serial(self, data: bytes) -> None:
        """Type on the SOL port."""

    def monitor(self, command: str, **arguments: Any) -> Any:
        """Run a command of QEMU's monitor protocol; raises BringupError where there is none."""

    def close(self) -> None:
        """Pull the plug."""


class Chassis:
    """Power, reset and serial ports of one virtual board. Implements what the BMC's server asks of it.

    `com1` takes what the board prints on the port that the BMC does not see.
    """

    def __init__(
        self,
        namespace: Namespace,
        taps: dict[str, str],
        folder: Path,
        *,
        memory_mib: int,
        default_firmware: Firmware,
        report: Callable[[str], None],
        com1: Callable[[bytes], None],
        variant: Variant = "standard",
        disks: Sequence[TwinDisk] = (),
        engine: Engine = QEMU,
        flaws: Flaws = SOUND,
    ) -> None:
        self._engine = engine
        self._namespace = namespace
        self._taps = taps
        self._folder = folder
        self._memory_mib = memory_mib
        self._default_firmware = default_firmware
        self._report = report
        self._com1 = com1
        self._variant = variant
        self._disks = tuple(disks)
        self._cables: dict[str, str] = {}
        self._flaws = flaws
        self._bmc: AttachedBmc | None = None
        self._machine: Machine | None = None
        self._resetting = False
        self._swap = threading.Lock()
        self._jobs: Queue[Callable[[], None] | None] = Queue()
        self._worker = threading.Thread(target=self._work, name="chassis", daemon=True)
        prepare_firmware_files(folder)

    def start(self, bmc: AttachedBmc) -> None:
        """Begin to take commands; the board stays off until it is told."""
        self._bmc = bmc
        self._worker.start()

    def close(self) -> None:
        """Switch the board off and stop."""
        if self._worker.is_alive():
            self._jobs.put(self._off)
            self._jobs.put(None)
            self._worker.join(timeout=2 * _STOP_TIMEOUT_S)

    # What the BMC calls: quick, and true only of the real process.

    def is_on(self) -> bool:
        """Return whether the virtual machine lives."""
        with self._swap:
            return self._resetting or (self._machine is not None and self._machine.alive())

    def power_on(self) -> None:
        """Switch on, if off."""
        self._jobs.put(self._on)

    def power_off(self) -> None:
        """Pull the plug."""
        self._jobs.put(self._off)

    def power_cycle(self) -> None:
        """Off, a pause, on."""
        self._jobs.put(self._cycle)

    def reset(self) -> None:
        """Reset as the front button does; what boots next is decided anew."""
        self._jobs.put(self._reset)

    def soft_off(self) -> None:
        """Press the ACPI power button; raises RefusedError where the engine has none."""
        self._need_qemu()
        self._jobs.put(lambda: self._monitor("system_powerdown"))

    def pulse_diag(self) -> None:
        """Send a non-maskable interrupt; raises RefusedError where the engine cannot."""
        self._need_qemu()
        self._jobs.put(lambda: self._monitor("inject-nmi"))

    def write_serial(self, data: bytes) -> None:
        """Type on the SOL port; lost when the board is off, as on the real one."""
        machine = self._machine
        if machine is not None:
            machine.write_serial(data)

    def send_break(self) -> None:
        """Send a serial break on the SOL port."""
        self._jobs.put(lambda: self._monitor("chardev-send-break", id="com2"))

    def ask_monitor(self, command: str) -> str:
        """Return what QEMU's own monitor prints for `command`; raises LabError when the board is off.

        A cable that is pulled (`set_link NAME off`) stays so over resets and while the board is off.
        """
        cable = _CABLE.fullmatch(command)
        if cable is not None and cable[1] in {nic.name for nic in NICS}:
            self._cables[cable[1]] = command
            if not self.is_on():
                return ""
        machine = self._machine
        if machine is None or not machine.alive():
            raise LabError("the twin's board is off, and only a running one has a monitor")
        return str(machine.monitor("human-monitor-command", **{"command-line": command}))

    def _need_qemu(self) -> None:
        if self._engine is BOCHS:
            raise RefusedError(Code.INVALID_FIELD)

    # The worker's jobs.

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except (BringupError, OSError) as error:
                self._report(str(error))

    def _on(self) -> None:
        if self.is_on():
            return
        self._off()  # clears away a machine that ended by itself
        assert self._bmc is not None  # noqa: S101
        machine = self._new_machine(self._bmc)
        with self._swap:
            self._machine = machine
        self._bmc.log_power(True)

    def _off(self) -> None:
        with self._swap:
            machine, self._machine = self._machine, None
            if machine is not None:
                machine.close()
        if machine is not None and self._bmc is not None:
            self._bmc.log_power(False)

    def _cycle(self) -> None:
        self._off()
        threading.Event().wait(CYCLE_PAUSE_S)
        self._on()

    def _reset(self) -> None:
        if not self.is_on() or self._bmc is None:
            return
        # A fresh process is the one reset that swaps firmware too; to the BMC the board is on meanwhile.
        with self._swap:
            self._resetting, old = True, self._machine
        machine = old
        try:
            if old is not None:
                old.close()
            machine = self._new_machine(self._bmc)
        finally:
            with self._swap:
                self._resetting, self._machine = False, machine

    def _new_machine(self, bmc: AttachedBmc) -> Machine:
        flags = bmc.take_boot_flags()
        network = flags.device == "network"
        if self._engine is BOCHS:
            return self._new_bochs(bmc, network=network)
        order = BootOrder(network=network, nic=self._flaws.boot_nic)
        machine = _QemuMachine(self, bmc, self._firmware_for(flags), order)
        for command in self._cables.values():
            machine.monitor("human-monitor-command", **{"command-line": command})
        return machine

    def _new_bochs(self, bmc: AttachedBmc, *, network: bool) -> Machine:
        machine: Machine

        def told(meaning: Meaning, text: str) -> None:
            if meaning == "fault":
                self._report(f"Bochs ended: {text}")
            elif machine is self._machine:
                self._jobs.put(self._reset if meaning == "reset" else self._off)

        machine = BochsMachine(
            self._namespace.enter,
            self._folder,
            tap=self._taps[BOOT_NIC],
            mac=BOOT_MAC,
            memory_mib=self._memory_mib,
            network=network,
            sol=bmc.serial_output,
            com1=self._com1,
            told=told,
        )
        return machine

    def _monitor(self, command: str, **arguments: Any) -> None:
        machine = self._machine
        if machine is not None and machine.alive():
            machine.monitor(command, **arguments)

    def _firmware_for(self, flags: RequestedBoot) -> Firmware:
        if flags.device == "none":
            return self._default_firmware
        return Firmware.UEFI if flags.uefi else Firmware.BIOS

    def _on_event(self, machine: _QemuMachine, name: str, data: dict[str, Any]) -> None:
        # QEMU pauses instead of restarting or ending (-action), so the board's next step is decided here.
        if name == "SHUTDOWN" and machine is self._machine:
            self._jobs.put(self._reset if data.get("reason") == "guest-reset" else self._off)


class _QemuMachine:
    """One QEMU process from power-on to power-off, with its four lines."""

    def __init__(self, chassis: Chassis, bmc: AttachedBmc, firmware: Firmware, order: BootOrder) -> None:
        com1, com1_far = socket.socketpair()
        sol, sol_far = socket.socketpair()
        monitor, monitor_far = socket.socketpair()
        kcs, kcs_far = _waiting_connection()
        far = (com1_far, sol_far, monitor_far, kcs_far)
        com1_fd, sol_fd, qmp_fd, kcs_fd = (line.fileno() for line in far)
        wiring = Wiring(com1_fd, sol_fd, qmp_fd, kcs_fd, chassis._taps)
        pair = ovmf_files()
        command = qemu_arguments(
            firmware,
            order,
            wiring,
            memory_mib=chassis._memory_mib,
            folder=chassis._folder,
            variant=chassis._variant,
            ovmf=pair and pair[0],
            disks=chassis._disks,
            engine=chassis._engine,
        )
        with (chassis._folder / "qemu.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*chassis._namespace.enter, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(com1_fd, sol_fd, qmp_fd, kcs_fd),
            )
        for line in far:
            line.close()
        self._com1 = com1
        self._sol = sol
        self._kcs = kcs
        bmc.attach_kcs(kcs)
        start_reading(sol, bmc.serial_output)
        start_reading(com1, chassis._com1)
        try:
            self.qmp = Qmp(monitor, lambda name, data: chassis._on_event(self, name, data))
            self._spoil(chassis._flaws)
        except BringupError:
            self._end()
            raise

    def _spoil(self, flaws: Flaws) -> None:
        if flaws.no_link:
            self.qmp.execute("set_link", name=BOOT_NIC, up=False)
        if flaws.post_s:
            self.qmp.execute("stop")
            timer = threading.Timer(flaws.post_s, self._go_on)
            timer.daemon = True
            timer.start()

    def _go_on(self) -> None:
        with contextlib.suppress(BringupError, OSError):  # it was switched off meanwhile
            self.qmp.execute("cont")

    def alive(self) -> bool:
        return self._process.poll() is None

    def write_serial(self, data: bytes) -> None:
        try:
            self._sol.sendall(data)
        except OSError:
            return  # the board was switched off under our hands

    def monitor(self, command: str, **arguments: Any) -> Any:
        return self.qmp.execute(command, **arguments)

    def close(self) -> None:
        self._end()
        self.qmp.close()

    def _end(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(timeout=_STOP_TIMEOUT_S)
        for line in (self._com1, self._sol, self._kcs):
            line.close()


def _waiting_connection() -> tuple[socket.socket, socket.socket]:
    """Return a connected end and the listener it waits at.

    QEMU's `ipmi-bmc-extern` greets a peer the moment it is connected, and crashes when that is before its KCS
    interface exists (7.2), so it has to accept the connection itself, later. Ours is first in the queue.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind("")  # the kernel picks an abstract name: nothing in the file system, nothing to clean up
    listener.listen(1)
    near = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    near.connect(listener.getsockname())
    return near, listener


def prepare_firmware_files(folder: Path) -> None:
    """Write what the firmware reads: SeaBIOS' console port (u16, little endian) and OVMF's variable store."""
    (folder / "sercon-port").write_bytes(SOL_IO_PORT.to_bytes(2, "little"))
    pair = ovmf_files()
    if pair is not None:
        shutil.copyfile(pair[1], folder / "uefi-vars.fd")


def require_programs(engine: Engine = QEMU) -> None:
    """Raise MissingProgramError when a program or firmware the twin stands on is not installed."""
    if engine is SCRIPTED:
        return
    if engine is BOCHS:
        require_bochs()
        return
    if shutil.which("qemu-system-x86_64") is None:
        raise MissingProgramError(
            "the program qemu-system-x86_64 is not installed, and the twin is a QEMU machine",
            hint="apt install qemu-system-x86 seabios ipxe-qemu ovmf (or `make system`)",
        )
    if ovmf_files() is None:
        raise MissingProgramError("the UEFI firmware OVMF is not installed", hint="apt install ovmf")
