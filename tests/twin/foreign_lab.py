"""Two boards behind OpenIPMI's ipmi_sim, driven by an ordinary user's commands, for `test_foreign_bmcs`.

    python -m tests.twin.foreign_lab FOLDER UID

Runs as root in a network namespace of its own, where it makes a bridge, two machines of QEMU that ipmi_sim
switches, and a lab file for `UID`, whose commands have no rights but those of serving. Prints what each
command said as JSON.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.doubles.servers import PASSWORD, USER, IpmiSim, Uart, ipmi_sim
from tests.places import CHECKOUT
from tests.twin.helpers import PATIENCE_S

SERVER = "10.55.0.1"
_LOOK_S = 0.05
_COMMAND_S = PATIENCE_S

PROFILE = """\
extends = "supermicro-e300-9d"
title = "A virtual machine behind a foreign BMC"
summary = "for tests"
[sources]
t = "test"
[bmc]
min_command_spacing_s = { value = 0, grade = "HIGH", source = "t" }
"""
BOARD = """\
[boards.b{number}]
profile = "foreign"
macs = ["{mac}"]
bmc = {{ address = "127.0.0.1", port = {port}, user = "{user}", password = {{ env = "BMC_PASSWORD" }} }}
network = {{ interface = "br0", mode = "own-segment", address = "{server}/24", board_address = "{address}" }}
"""
# That of these tests may lie where only root can go.
PYTHON = "/usr/bin/python3"
# As the documented setup gives them to the process that serves; the commands themselves use none.
RIGHTS = "+net_bind_service,+net_admin,+net_raw"


class Machine(Uart):
    """A machine whose power is a file of ipmi_sim's script, and whose COM2 is the BMC's serial line."""

    def __init__(self, number: int, folder: Path) -> None:
        self.number = number
        self.mac = f"52:54:00:0e:60:{number:02x}"
        self._folder = folder
        self._com2: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = threading.Event()
        super().__init__()
        threading.Thread(target=self._follow_power, daemon=True).start()

    def close(self) -> None:
        """Switch off, and close the line."""
        self._ended.set()
        self._off()
        super().close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._connection, _ = self.listener.accept()
                while data := self._connection.recv(4096):
                    if self._com2 is not None:
                        self._com2.sendall(data)

    def _follow_power(self) -> None:
        power = self._folder / "power"
        while not self._ended.wait(_LOOK_S):
            wanted = power.exists() and power.read_text().strip() == "1"
            if wanted and self._process is None:
                self._on()
            elif not wanted and self._process is not None:
                self._off()

    def _on(self) -> None:
        self._com2, far = socket.socketpair()
        (self._folder / "sercon-port").write_bytes((0x2F8).to_bytes(2, "little"))
        self._process = subprocess.Popen(
            [
                *("qemu-system-x86_64", "-machine", "q35", "-accel", "tcg", "-m", "256", "-nodefaults"),
                *("-no-reboot", "-display", "none", "-device", "pcie-root-port,id=port1,chassis=1,slot=1"),
                *("-netdev", f"tap,id=net,ifname=tap{self.number},script=no,downscript=no"),
                *("-chardev", "null,id=com1", "-serial", "chardev:com1"),
                *("-chardev", f"socket,id=com2,fd={far.fileno()}", "-serial", "chardev:com2"),
                *("-fw_cfg", f"name=etc/sercon-port,file={self._folder / 'sercon-port'}"),
                *("-device", f"e1000e,netdev=net,mac={self.mac},bus=port1,bootindex=1"),
            ],
            pass_fds=(far.fileno(),),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        far.close()
        threading.Thread(target=self._tell, args=(self._com2,), daemon=True).start()

    def _tell(self, com2: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := com2.recv(4096):
                self.send(data)

    def _off(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
        if self._com2 is not None:
            self._com2.close()
            self._com2 = None


class User:
    """Somebody who is not root, and their commands."""

    def __init__(self, folder: Path, uid: int) -> None:
        self._folder = folder
        self._uid = uid
        (folder / "boards").mkdir(parents=True)
        (folder / "boards" / "foreign.toml").write_text(PROFILE)

    def own(self) -> None:
        """Give the user all that lies in their folder."""
        for path in (self._folder, *self._folder.rglob("*")):
            os.chown(path, self._uid, self._uid)

    def start(self, *words: str, rights: bool = False) -> subprocess.Popen[str]:
        """Begin a command of theirs, with the rights of serving to lend where it serves."""
        who = ["--reuid", str(self._uid), "--regid", str(self._uid), "--clear-groups"]
        given = ["--inh-caps", RIGHTS, "--ambient-caps", RIGHTS] if rights else ["--bounding-set", "-all"]
        modules = [str(CHECKOUT), *(entry for entry in sys.path if entry.endswith("site-packages"))]
        return subprocess.Popen(
            ["setpriv", *who, *given, "--", PYTHON, "-P", "-m", "bringup", *words],
            cwd=self._folder,
            env={
                "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
                "HOME": str(self._folder),
                "BRINGUP_HOME": str(self._folder / "kept"),
                "PYTHONPATH": ":".join(modules),
                "PYTHONDONTWRITEBYTECODE": "1",
                "BMC_PASSWORD": PASSWORD,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, rights: bool = False) -> dict[str, object]:
        """Run a command to its end."""
        return ended(self.start(*words, rights=rights))


def ended(process: subprocess.Popen[str]) -> dict[str, object]:
    """Return what a command said, and its exit code."""
    try:
        out, err = process.communicate(timeout=_COMMAND_S)
    finally:
        process.kill()
    return {"code": process.returncode, "out": out, "err": err}


@contextlib.contextmanager
def machine(number: int, folder: Path) -> Iterator[tuple[Machine, IpmiSim]]:
    """Run one machine and its BMC."""
    folder.mkdir(parents=True)
    with contextlib.closing(Machine(number, folder)) as made, ipmi_sim(folder, uart=made) as bmc:
        yield made, bmc


def furnish(taps: Sequence[str]) -> None:
    """Make the network of the namespace that this process is in."""
    lines = ["ip link set lo up", "ip link add br0 type bridge", f"ip address add {SERVER}/24 dev br0"]
    lines += [f"ip tuntap add {tap} mode tap; ip link set {tap} master br0 up" for tap in taps]
    lines += ["ip link set br0 up", "ethtool -K br0 tx off >/dev/null 2>&1 || true"]
    environment = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
    subprocess.run(["sh", "-ec", "\n".join(lines)], check=True, timeout=PATIENCE_S, env=environment)


def listened(user: User, made: Machine) -> dict[str, object]:
    """Listen to a console for some seconds, while its board says something all the time."""
    process = user.start("console", f"b{made.number}", "--listen", "--for", "6")
    for number in itertools.count():
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.25)
            break
        made.send(b"line %d of the board\r\n" % number)
    return ended(process)


def main(folder: Path, uid: int) -> None:
    """Run it all, and print what was said."""
    furnish(["tap1", "tap2"])
    user = User(folder / "home", uid)
    image = [folder / "home" / name for name in ("kernel", "module")]
    shutil.copyfile(CHECKOUT / "build" / "standin" / "standin-kernel", image[0])
    image[1].write_bytes(bytes(1 << 20))
    with machine(1, folder / "bmc1") as (one, bmc1), machine(2, folder / "bmc2") as (two, bmc2):
        rows = [
            BOARD.format(
                number=made.number,
                mac=made.mac,
                port=bmc.port,
                user=USER,
                server=SERVER,
                address=f"10.55.0.{30 + made.number}",
            )
            for made, bmc in ((one, bmc1), (two, bmc2))
        ]
        (folder / "home" / "lab.toml").write_text("\n".join(rows))
        user.own()
        told: dict[str, object] = {"off": user.run("power", "b1")}
        told["on"] = user.run("power", "b1", "on")
        told["console"] = listened(user, one)
        told["cycle"] = user.run("power", "b1", "cycle")
        names = [str(path) for path in image]
        words = ("--until", "user-space", "--json", "--restart")
        boots = [user.start("boot", board, *names, *words, rights=True) for board in ("b1", "b2")]
        told["boots"] = [ended(each) for each in boots]
        told["probe"] = user.run("probe-pci", "b1", "--firmware-probe", "--restart", "--json", rights=True)
        told["calls"] = bmc1.calls()
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
