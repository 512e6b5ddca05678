"""Starts the serving process of a boot and hands its events on."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

from bringup.base.child import Child
from bringup.base.events import Emit, Event
from bringup.netboot.dhcp import dnsmasq_config
from bringup.netboot.spec import ServeSpec

READY_TIMEOUT_S = 20.0
_STOP_TIMEOUT_S = 6.0

# On its own the process also sees its stdin close; this covers what closes no files.
_DIE_WITH_PARENT = ("setpriv", "--pdeathsig", "TERM", "--")


class NetbootServer:
    """DHCP, TFTP and HTTP for one boot, from entering the context (or `start()`) to `close()`.

    `enter` is the command prefix that runs a program in the network namespace of the board, empty for the
    host's own. Events reach `emit`, once it serves from a thread of this object. A server that ends by itself
    is an event `run.servers_lost`.
    """

    def __init__(self, spec: ServeSpec, emit: Emit, enter: Sequence[str] = ()) -> None:
        self._spec = spec
        self._emit = emit
        self._child = Child(
            "bringup.netboot.serve",
            "the process that serves the network boot",
            enter=tuple(enter) or _DIE_WITH_PARENT,
            emit=emit,
            on_lost=self._lost,
        )

    @property
    def pid(self) -> int | None:
        """The serving process, None when there is none."""
        return self._child.pid

    def start(self) -> None:
        """Start serving; returns when DHCP, TFTP and HTTP answer.

        Raises PortBusyError, MissingProgramError, ProfileError or LabError, and then nothing runs.
        """
        # dnsmasq's configuration is rendered here: the template library would cost that process 5 MiB.
        request = {"spec": self._spec.to_json(), "dnsmasq": dnsmasq_config(self._spec)}
        self._child.start(request, READY_TIMEOUT_S)

    def _lost(self, reason: str) -> None:
        text = "the servers of the network boot ended by themselves"
        self._emit(Event("run", "run.servers_lost", text, {"reason": reason}))

    def close(self) -> None:
        """Stop serving and wait until it has stopped; harmless when it runs no more."""
        self._child.close(_STOP_TIMEOUT_S)

    def __enter__(self) -> NetbootServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
