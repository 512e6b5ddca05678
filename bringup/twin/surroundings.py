"""What stands around a twin's board on purpose: a wire that tampers, a DHCP server of somebody else's."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Callable, Sequence

from bringup.base.child import Child
from bringup.base.errors import LabError, MissingProgramError
from bringup.base.events import Event
from bringup.base.program import find_program
from bringup.base.stage import Stage
from bringup.twin.faults.choice import ChosenFault
from bringup.twin.network import (
    DIE_WITH_PARENT,
    WIRE_END,
    Namespace,
    inside,
    plug,
    run_inside,
    wire_script,
)
from bringup.twin.wire.tampers import RIVAL_ADDRESS

_START_S, _STOP_S = 10.0, 3.0
_RIVAL = "dhcp-rival"
_RIVAL_RANGE = "10.55.0.100,10.55.0.110,5m"
# Which of the twin's own things a fault needs; the wire also tells of stages that the console does not show.
_SEEN_BY_WIRE = (Stage.DHCP, Stage.LOADER)


class Surroundings:
    """The faults of one twin's network, from `start` to `close`. `cable` is the boot NIC's interface."""

    def __init__(self, namespace: Namespace, faults: Sequence[ChosenFault], seed: int, cable: str) -> None:
        self._namespace = namespace
        self._faults = faults
        self._seed = seed
        self._cable = cable
        self._wire: Child | None = None
        self._rival: Rival | None = None

    def start(self, seen: Callable[[Stage], None]) -> None:
        """Put a wire into the cable where a fault needs one; `seen` is told what passes on it.

        Raises LabError, MissingProgramError or NamespaceError.
        """
        network = any(one.fault.acts == "network" for one in self._faults)
        if not network and not any(one.stage in _SEEN_BY_WIRE for one in self._faults):
            return
        run_inside(self._namespace.enter, wire_script(self._cable))
        self._wire = Child(
            "bringup.twin.wire.process",
            "the twin's wire",
            enter=self._namespace.enter,
            emit=lambda event: _tell(event, seen),
        )
        names = [str(one) for one in self._faults]
        request = {"board": self._cable, "bridge": WIRE_END, "faults": names, "seed": self._seed}
        self._wire.start(request, _START_S)

    def begin(self, name: str) -> None:
        """Let a fault of the network act from now on."""
        if name == _RIVAL:
            self._rival = Rival(self._namespace)
        if self._wire is not None:
            self._wire.tell({"begin": name})

    def close(self) -> None:
        """Take all of it away."""
        if self._wire is not None:
            self._wire.close(_STOP_S)
        if self._rival is not None:
            self._rival.close()


def _tell(event: Event, seen: Callable[[Stage], None]) -> None:
    if "stage" in event.data:
        # From a thread of its own: what begins now may want to speak to the wire.
        stage = Stage(event.data["stage"])
        threading.Thread(target=seen, args=(stage,), name="wire-seen", daemon=True).start()


class Rival:
    """A dnsmasq of somebody else's on the twin's segment, in a namespace beside it: a machine of its own.

    Raises MissingProgramError, LabError or NamespaceError.
    """

    def __init__(self, namespace: Namespace) -> None:
        if find_program("dnsmasq") is None:
            raise MissingProgramError("the program dnsmasq is not installed", hint="apt install dnsmasq-base")
        self._keeper = subprocess.Popen(
            [*namespace.enter, "unshare", "--net", *DIE_WITH_PARENT, "sh", "-c", "echo up; exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._server: subprocess.Popen[bytes] | None = None
        try:
            assert self._keeper.stdout is not None  # noqa: S101
            if self._keeper.stdout.readline() != b"up\n":
                raise LabError("the twin's other DHCP server did not start")
            self._server = self._serve(namespace)
        except BaseException:
            self.close()
            raise

    def _serve(self, namespace: Namespace) -> subprocess.Popen[bytes]:
        pid = self._keeper.pid
        plug(namespace, pid, "rival0", "eth0", address=f"{RIVAL_ADDRESS}/24")
        return subprocess.Popen(
            [*inside(namespace, pid), *_dnsmasq()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def close(self) -> None:
        """Take it off the segment."""
        for process in (self._server, self._keeper):
            if process is not None:
                process.kill()
                process.wait(_STOP_S)
        for stream in (self._keeper.stdin, self._keeper.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


def _dnsmasq() -> list[str]:
    return [
        *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=", "--port=0"),
        *("--interface=eth0", "--bind-interfaces", "--leasefile-ro", "--no-ping", "--user=", "--group="),
        *("--dhcp-authoritative", f"--dhcp-range={_RIVAL_RANGE}"),
        f"--dhcp-boot=somebody-elses.0,,{RIVAL_ADDRESS}",
    ]
