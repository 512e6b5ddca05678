"""The BMC against the tools people use: ipmitool, FreeIPMI, pyghmi, and a Linux kernel over KCS."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pyghmi.ipmi.command import Command
from pyghmi.ipmi.console import Console

from bringup.twin.bmc.server import VirtualBmc
from tests.doubles.fake_bmc import burst
from tests.doubles.servers import CHECKOUT, PASSWORD, USER, FakeBmc, Server, ipmi_sim, virtual_bmc
from tests.twin.helpers import PATIENCE_S

pytestmark = pytest.mark.slow

TOOL_TIMEOUT_S = PATIENCE_S


def need(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


def ipmitool_command(server: Server, *words: str, user: str | None = None) -> list[str]:
    need("ipmitool")
    target = ["-I", "lanplus", "-H", server.address, "-p", str(server.port)]
    return ["ipmitool", *target, "-U", user or server.user, "-E", *words]


def ipmitool(server: Server, *words: str, user: str | None = None, password: str | None = None) -> str:
    """Return what ipmitool printed on both streams; raises CalledProcessError when it failed."""
    done = subprocess.run(
        ipmitool_command(server, *words, user=user),
        env={**os.environ, "IPMI_PASSWORD": password or server.password},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=TOOL_TIMEOUT_S,
    )
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, words, done.stdout)
    return done.stdout


def failure(server: Server, *words: str, user: str | None = None, password: str | None = None) -> str:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        ipmitool(server, *words, user=user, password=password)
    return str(caught.value.output)


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, command: list[str], password: str = PASSWORD) -> None:
        near, far = pty.openpty()
        self._descriptor = near
        self.seen = b""
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command],
            env={**os.environ, "IPMI_PASSWORD": password, "FAKE_BMC_PASSWORD": password, "TERM": "dumb"},
            cwd=CHECKOUT,
            stdin=far,
            stdout=far,
            stderr=far,
            start_new_session=True,
        )
        os.close(far)

    def type(self, data: bytes) -> None:
        os.write(self._descriptor, data)

    def wait_for(self, text: bytes, timeout_s: float = PATIENCE_S) -> None:
        self.wait_until(lambda: text in self.seen, timeout_s)

    def wait_until(self, condition: Callable[[], bool], timeout_s: float = PATIENCE_S) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f"not seen in time; last: {self.seen[-500:]!r}"
            if select.select([self._descriptor], [], [], 0.05)[0]:
                try:
                    self.seen += os.read(self._descriptor, 65536)
                except OSError:  # the program closed its end: it ends, or has ended
                    self.process.wait(timeout=PATIENCE_S)
                    assert condition(), f"ended early: {self.seen[-500:]!r}"

    def close(self) -> None:
        self.process.kill()
        self.process.wait(timeout=PATIENCE_S)
        os.close(self._descriptor)


@contextlib.contextmanager
def terminal(command: list[str]) -> Iterator[Terminal]:
    program = Terminal(command)
    try:
        yield program
    finally:
        program.close()


@pytest.fixture
def server() -> Iterator[FakeBmc]:
    with virtual_bmc() as server:
        yield server


# ipmitool


@pytest.mark.parametrize("suite", [[], ["-C", "3"], ["-C", "17"]], ids=["default", "3", "17"])
def test_ipmitool_switches_the_board_on_and_off(server: FakeBmc, suite: list[str]) -> None:
    assert "is off" in ipmitool(server, *suite, "chassis", "power", "status")
    ipmitool(server, *suite, "chassis", "power", "on")
    assert "is on" in ipmitool(server, *suite, "chassis", "power", "status")
    ipmitool(server, *suite, "chassis", "power", "cycle")
    server.wait_for("chassis", "power_cycle")
    ipmitool(server, *suite, "chassis", "power", "off")
    server.wait_for("chassis", "power_off")
    assert server.actions() == ["power_on", "power_cycle", "power_off"]


def test_reset_of_a_board_that_is_off_is_refused(server: FakeBmc) -> None:
    assert "present state" in failure(server, "chassis", "power", "reset")


@pytest.mark.parametrize("suite", ["3", "17"])
def test_wrong_credentials_get_their_own_status(server: FakeBmc, suite: str) -> None:
    unknown = failure(server, "-v", "-C", suite, "mc", "info", user="nobody")
    assert "unauthorized name" in unknown
    wrong = failure(server, "-v", "-C", suite, "mc", "info", password="wrong")
    assert "RAKP 2 HMAC is invalid" in wrong


def test_a_suite_not_offered_is_named() -> None:
    with virtual_bmc(suites=(3,)) as server:
        assert "no matching cipher suite" in failure(server, "-C", "17", "mc", "info")
        assert "is off" in ipmitool(server, "chassis", "power", "status")


def test_an_operator_may_not_be_administrator() -> None:
    with virtual_bmc(privilege="operator") as server:
        assert "invalid role" in failure(server, "-v", "mc", "info")
        ipmitool(server, "-L", "OPERATOR", "chassis", "power", "on")
        assert "Insufficient privilege" in failure(server, "-L", "OPERATOR", "raw", "0x06", "0x02")


def test_boot_flags_by_name_and_raw(server: FakeBmc) -> None:
    ipmitool(server, "raw", *["0x00", "0x08", "0x03", "0x08"])
    ipmitool(server, "raw", *["0x00", "0x08", "0x05", "0xe0", "0x24", "0", "0", "0"])
    assert "e024000000" in ipmitool(server, "chassis", "bootparam", "get", "5")
    ipmitool(server, "chassis", "bootdev", "pxe", "options=efiboot")
    shown = ipmitool(server, "chassis", "bootparam", "get", "5")
    assert "a004000000" in shown
    assert "Force PXE" in shown
    ipmitool(server, "chassis", "power", "on")
    post = server.wait_for("post")["post"]
    assert (post["device"], post["uefi"]) == ("network", True)
    assert "Boot Flag Invalid" in ipmitool(server, "chassis", "bootparam", "get", "5")


def test_boot_flags_survive_a_restart_of_the_bmc(tmp_path: Path) -> None:
    file = tmp_path / "bmc.json"
    with virtual_bmc(state_file=file) as server:
        ipmitool(server, "raw", *["0x00", "0x08", "0x03", "0x08"])
        ipmitool(server, "chassis", "bootdev", "pxe", "options=persistent")
        server.kill()
    with virtual_bmc(state_file=file) as server:
        assert "c004000000" in ipmitool(server, "chassis", "bootparam", "get", "5")


@pytest.mark.parametrize(
    ("words", "pattern"),
    [
        ("mc info", r"Manufacturer ID +: 10876"),
        ("mc guid", r"System GUID +: [0-9a-f-]{36}"),
        ("mc selftest", "passed"),
        ("mc watchdog get", "Stopped"),
        ("mc watchdog off", "successful"),
        ("lan print 1", r"RMCP\+ Cipher Suites +: 3,17"),
        ("user list 1", r"2 +admin .*ADMINISTRATOR"),
        ("channel info 1", "802.3 LAN"),
        ("channel getciphers ipmi 1", r"17 +N/A +hmac_sha256"),
        ("sol info 1", r"Volatile Bit Rate \(kbps\) +: 115.2"),
        ("chassis status", r"System Power +: off"),
        ("chassis identify 5", "Chassis identify interval: 5"),
        ("chassis policy previous", "previous"),
        ("session info active", r"active sessions +: 1"),
        ("sdr list", r"System Temp +\| 34 degrees C"),
        ("sensor list", r"CPU Temp +\| na "),
        ("sel info", r"Entries +: 0"),
        ("raw 0x30 0x70 0x0c 0", "00"),
    ],
)
def test_ipmitool_understands(server: FakeBmc, words: str, pattern: str) -> None:
    assert re.search(pattern, ipmitool(server, *words.split()))


def test_the_event_log_tells_of_power(server: FakeBmc) -> None:
    ipmitool(server, "chassis", "power", "on")
    server.wait_for("post")
    ipmitool(server, "chassis", "power", "reset")
    log = ipmitool(server, "sel", "list")
    assert "Initiated by hard reset" in log
    assert "S0/G0: working" in log
    assert "Initiated by power up" in log
    assert re.search(r"CPU Temp +\| 47.000", ipmitool(server, "sensor", "list"))
    ipmitool(server, "sel", "clear")
    assert re.search(r"Entries +: 0", ipmitool(server, "sel", "info"))


def test_an_armed_watchdog_resets_the_board() -> None:
    with virtual_bmc(on=True) as server:
        ipmitool(server, "raw", *["0x06", "0x24", "0x04", "0x01", "0", "0", "0x05", "0"])
        ipmitool(server, "raw", "0x06", "0x22")
        server.wait_for("chassis", "reset")
        assert "Hard reset" in ipmitool(server, "sel", "list")


# FreeIPMI


def freeipmi_config(folder: Path) -> str:
    config = folder / "freeipmi.conf"
    config.write_text(f"username {USER}\npassword {PASSWORD}\n")
    config.chmod(0o600)
    return f"--config-file={config}"


def freeipmi(server: Server, folder: Path, program: str, *words: str) -> str:
    need(program)
    target = ["-D", "LAN_2_0", "-h", f"{server.address}:{server.port}"]
    done = subprocess.run(
        [program, freeipmi_config(folder), *target, *words],
        env={**os.environ, "HOME": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=TOOL_TIMEOUT_S,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize("suite", ["3", "17"])
def test_freeipmi_drives_it(server: FakeBmc, tmp_path: Path, suite: str) -> None:
    def run(program: str, *words: str) -> str:
        return freeipmi(server, tmp_path, program, "-I", suite, *words)

    assert run("ipmipower", "--stat").strip().endswith(": off")
    run("ipmipower", "--on", "--wait-until-on")
    assert run("ipmipower", "--stat").strip().endswith(": on")
    assert re.search(r"System Power +: on", run("ipmi-chassis", "--get-chassis-status"))
    assert re.search(r"FAN1 +\| Fan +\| 5200.00", run("ipmi-sensors"))
    assert "S0/G0" in run("ipmi-sel")
    assert re.search(r"Manufacturer ID +: Super Micro", run("bmc-info"))


# ipmiconsole knows no port but 623: both live in a network (and process) namespace of their own.
ON_PORT_623 = """
ip link set lo up
sleep 600 | "$PYTHON" -m tests.doubles.fake_bmc --port 623 > "$FOLDER/started" &
until grep -q port "$FOLDER/started"; do sleep 0.1; done
exec ipmiconsole -h 127.0.0.1 "$CONFIG"
"""


def test_ipmiconsole_echoes(tmp_path: Path) -> None:
    need("ipmiconsole")
    namespace = ["unshare", "--map-root-user", "--net", "--pid", "--fork", "--kill-child"]
    if subprocess.run([*namespace, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no private network namespace is allowed here")
    settings = [f"PYTHON={sys.executable}", f"FOLDER={tmp_path}", f"CONFIG={freeipmi_config(tmp_path)}"]
    with terminal(["env", *settings, *namespace, "sh", "-c", ON_PORT_623]) as console:
        console.wait_for(b"SOL established")
        console.type(b"hello, board\r")
        console.wait_for(b"hello, board")
        console.type(b"&.")
        console.wait_until(lambda: console.process.poll() is not None)


# SOL


def sol_terminal(server: Server) -> contextlib.AbstractContextManager[Terminal]:
    return terminal(ipmitool_command(server, "sol", "activate"))


def test_ipmitool_sol_echoes_is_exclusive_and_ends(server: FakeBmc) -> None:
    with sol_terminal(server) as console:
        console.wait_for(b"SOL Session operational")
        console.type(b"hello, board\r")
        console.wait_for(b"hello, board")
        assert "already active" in failure(server, "sol", "activate")
        console.type(b"\r~.")
        console.wait_until(lambda: console.process.poll() is not None)
    assert "already de-activated" in failure(server, "sol", "deactivate")


def test_a_break_reaches_the_uart(server: FakeBmc) -> None:
    with sol_terminal(server) as console:
        console.wait_for(b"SOL Session operational")
        console.type(b"\r~B")
        server.wait_for("chassis", "send_break")


def test_a_console_that_died_keeps_sol_busy_until_deactivated(server: FakeBmc) -> None:
    with sol_terminal(server) as console:
        console.wait_for(b"SOL Session operational")
        console.process.send_signal(signal.SIGKILL)
        console.process.wait(timeout=PATIENCE_S)
    assert "already active" in failure(server, "sol", "activate")
    ipmitool(server, "sol", "deactivate")
    with sol_terminal(server) as console:
        console.wait_for(b"SOL Session operational")


class PyghmiConsole:
    """pyghmi's client as the tool uses it: bytes in, bytes out, pumped by whoever waits."""

    def __init__(self, server: Server) -> None:
        self.seen = bytearray()
        self.troubles: list[object] = []
        self.console = Console(
            bmc=server.address,
            userid=server.user.encode(),
            password=server.password.encode(),
            iohandler=self._take,
            port=server.port,
        )
        self.wait_until(lambda: self.console.connected)

    def _take(self, data: object) -> None:
        if isinstance(data, bytes):
            self.seen += data
        else:
            self.troubles.append(data)

    def wait_until(self, condition: Callable[[], bool], timeout_s: float = PATIENCE_S) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition() and time.monotonic() < deadline and not self.troubles:
            Console.wait_for_rsp(0.1)
        assert condition(), f"{len(self.seen)} bytes seen, trouble: {self.troubles}"

    def close(self) -> None:
        self.console.close()
        if self.console.ipmi_session is not None:
            self.console.ipmi_session.logout()


@pytest.fixture
def pyghmi_console(server: FakeBmc) -> Iterator[PyghmiConsole]:
    console = PyghmiConsole(server)
    yield console
    console.close()


@pytest.mark.parametrize("suites", [(3,), (17,)])
def test_a_burst_of_200_kb_arrives_whole(suites: tuple[int, ...]) -> None:
    with virtual_bmc(suites=suites) as server:
        console = PyghmiConsole(server)
        server.tell("burst 200000")
        console.wait_until(lambda: len(console.seen) >= 200_000)
        console.close()
    assert hashlib.sha256(console.seen).digest() == hashlib.sha256(burst(200_000)).digest()


def test_typed_text_is_echoed_whole(pyghmi_console: PyghmiConsole) -> None:
    text = burst(20_000)
    for start in range(0, len(text), 150):
        pyghmi_console.console.send_data(text[start : start + 150])
    pyghmi_console.wait_until(lambda: len(pyghmi_console.seen) >= len(text))
    assert bytes(pyghmi_console.seen) == text


def test_an_idle_console_outlives_the_keepalive(pyghmi_console: PyghmiConsole) -> None:
    idle_until = time.monotonic() + 33
    pyghmi_console.wait_until(lambda: time.monotonic() > idle_until, 40)
    pyghmi_console.console.send_data(b"still here")
    pyghmi_console.wait_until(lambda: b"still here" in pyghmi_console.seen)


def test_a_client_is_told_that_its_console_was_taken(server: FakeBmc, pyghmi_console: PyghmiConsole) -> None:
    pyghmi_console.console.send_data(b"mine")
    pyghmi_console.wait_until(lambda: b"mine" in pyghmi_console.seen)
    ipmitool(server, "sol", "deactivate")
    deadline = time.monotonic() + PATIENCE_S
    while not pyghmi_console.troubles and time.monotonic() < deadline:
        Console.wait_for_rsp(0.1)
    assert pyghmi_console.troubles == [{"error": "Remote IPMI console disconnected"}]


def test_output_from_before_the_session_is_not_replayed(server: FakeBmc) -> None:
    server.have("say too early")
    server.have("say still too early")
    console = PyghmiConsole(server)
    server.tell("say in time")
    console.wait_until(lambda: b"in time" in console.seen)
    console.close()
    assert b"early" not in console.seen


def test_a_stalled_bmc_loses_nothing_when_it_comes_back(
    server: FakeBmc, pyghmi_console: PyghmiConsole
) -> None:
    server.have("freeze")
    server.tell("say kept while frozen")
    time.sleep(2)
    server.tell("thaw")
    pyghmi_console.wait_until(lambda: b"kept while frozen" in pyghmi_console.seen)


# pyghmi


@pytest.mark.parametrize("suites", [(3,), (3, 17)])
def test_pyghmi_drives_it(suites: tuple[int, ...]) -> None:
    with virtual_bmc(suites=suites) as server:
        bmc = Command(server.address, b"admin", server.password.encode(), port=server.port)
        assert bmc.get_power() == {"powerstate": "off"}
        bmc.set_bootdev("network", persist=True, uefiboot=True)
        assert bmc.get_bootdev() == {"bootdev": "network", "persistent": True, "uefimode": True}
        assert bmc.set_power("on", wait=60) == {"powerstate": "on"}
        assert server.wait_for("post")["post"]["raw"] == "e004000000"
        assert {reading.name for reading in bmc.get_sensor_data()} >= {"CPU Temp", "FAN2"}
        bmc.ipmi_session.logout()


# The doubles themselves: others rest on them.


def test_the_double_can_be_busy_and_deaf_to_power() -> None:
    with virtual_bmc(busy=1, ignore_power=True) as server:
        assert "Node busy" in failure(server, "chassis", "power", "status")
        ipmitool(server, "chassis", "power", "on")
        assert "is off" in ipmitool(server, "chassis", "power", "status")


def test_the_independent_double_answers_and_echoes(tmp_path: Path) -> None:
    with ipmi_sim(tmp_path) as server:
        ipmitool(server, "-C", "3", "chassis", "power", "on")
        assert "is on" in ipmitool(server, "-C", "3", "chassis", "power", "status")
        assert "set power 1" in server.calls()
        with terminal(ipmitool_command(server, "-C", "3", "sol", "activate")) as console:
            console.wait_for(b"SOL Session operational")
            console.type(b"\rhello, board\r")
            console.wait_for(b"hello, board")


def test_the_double_dies_with_its_stdin(server: FakeBmc) -> None:
    assert server.process.stdin is not None
    server.process.stdin.close()
    assert server.process.wait(timeout=PATIENCE_S) == 0


# KCS, with a Linux guest whose ipmitool talks to /dev/ipmi0.

GUEST_INIT = """#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp
/bin/busybox mount -t devtmpfs none /dev
/bin/busybox mount -t proc none /proc
/bin/busybox mount -t sysfs none /sys
for module in ipmi_msghandler ipmi_si ipmi_devintf; do /bin/busybox insmod /$module.ko; done
ipmitool mc info
ipmitool mc guid
ipmitool chassis bootparam get 5
ipmitool chassis bootdev bios
ipmitool sel list
echo GUEST DONE
/bin/busybox poweroff -f
"""


class Guest:
    """The chassis of a QEMU machine that is already running."""

    def is_on(self) -> bool:
        return True

    def _nothing(self, *_: object) -> None:
        return None

    power_on = power_off = power_cycle = reset = soft_off = pulse_diag = write_serial = send_break = _nothing


def make_initramfs(folder: Path) -> tuple[Path, Path]:
    """Return this host's kernel and an initramfs with ipmitool and the IPMI modules; skips without them."""
    for program in ("busybox", "ipmitool", "cpio", "qemu-system-x86_64"):
        need(program)
    kernels = sorted(Path("/boot").glob("vmlinuz-*"))
    modules = Path("/lib/modules") / kernels[-1].name.removeprefix("vmlinuz-") if kernels else Path()
    drivers = modules / "kernel/drivers/char/ipmi"
    if not kernels or not drivers.is_dir():
        pytest.skip("no kernel with IPMI modules in /boot and /lib/modules")
    root = folder / "root"
    for name in ("ipmi_msghandler", "ipmi_si", "ipmi_devintf"):
        _copy(drivers / f"{name}.ko", root / f"{name}.ko")
    for program in ("busybox", "ipmitool"):
        path = shutil.which(program)
        assert path is not None
        _copy(Path(path), root / "bin" / program)
        libraries = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
        for library in re.findall(r"(/\S+\.so\S*)", libraries):
            _copy(Path(library), root / library.lstrip("/"))
    (root / "init").write_text(GUEST_INIT)
    (root / "init").chmod(0o755)
    names = "\n".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
    image = folder / "initramfs"
    with image.open("wb") as out:
        subprocess.run(
            ["cpio", "-o", "-H", "newc", "--quiet"], input=names.encode(), stdout=out, cwd=root, check=True
        )
    return kernels[-1], image


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


@contextlib.contextmanager
def served(bmc: VirtualBmc) -> Iterator[Server]:
    stop = threading.Event()
    thread = threading.Thread(target=bmc.serve_forever, args=(stop,), daemon=True)
    thread.start()
    try:
        yield Server("127.0.0.1", bmc.port, "admin", PASSWORD)
    finally:
        stop.set()
        thread.join(timeout=PATIENCE_S)
        assert not thread.is_alive(), "clean shutdown"


def test_a_linux_guest_and_the_lan_see_one_bmc(tmp_path: Path) -> None:
    kernel, initramfs = make_initramfs(tmp_path)
    bmc = VirtualBmc(Guest(), {"admin": (PASSWORD, "administrator")}, None)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("")
    listener.listen(1)
    near = socket.socket(socket.AF_UNIX)
    near.connect(listener.getsockname())
    bmc.attach_kcs(near)
    near.close()
    command = ["qemu-system-x86_64", "-M", "q35", "-m", "256", "-nodefaults", "-display", "none"]
    command += ["-kernel", str(kernel), "-initrd", str(initramfs), "-append", "console=ttyS0 quiet panic=-1"]
    command += ["-serial", "stdio", "-no-reboot"]
    command += ["-chardev", f"socket,id=kcs,fd={listener.fileno()},server=on,wait=off"]
    command += ["-device", "ipmi-bmc-extern,id=bmc0,chardev=kcs"]
    command += ["-device", "isa-ipmi-kcs,bmc=bmc0,ioport=0xca2,irq=0"]
    with served(bmc) as server:
        ipmitool(server, *["raw", "0x00", "0x08", "0x05", "0xe0", "0x04", "0", "0", "0"])
        guid = re.search(r"System GUID +: (\S+)", ipmitool(server, "mc", "guid"))
        done = subprocess.run(
            ["setpriv", "--pdeathsig", "KILL", *command],
            pass_fds=[listener.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE_S,
            check=False,
        )
        listener.close()
        output = done.stdout.decode(errors="replace")
        assert "GUEST DONE" in output, output[-2000:]
        assert re.search(r"Manufacturer ID +: 10876", output)
        assert guid is not None
        assert guid[1] in output
        assert "e004000000" in output
        assert "Force Boot into BIOS Setup" in ipmitool(server, "chassis", "bootparam", "get", "5")
