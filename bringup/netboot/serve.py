"""The serving process: DHCP, TFTP and HTTP of one boot, from its request to its end.

    python -m bringup.netboot.serve

Its request (see base/child.py) is the ServeSpec and dnsmasq's configuration, both as text. Ends when stdin
closes or on SIGTERM, and everything it started ends with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from typing import Any

from bringup.base.child import READY, answer_starter, when_starter_ends
from bringup.base.events import Emit, Event
from bringup.netboot.catalog import Catalog, stranger_check
from bringup.netboot.dhcp import RA_ADDRESS
from bringup.netboot.dnsmasq import DnsmasqProcess
from bringup.netboot.http import HttpService
from bringup.netboot.spec import HTTP_PORT, TFTP_PORT, Segment, ServeSpec
from bringup.netboot.tftp import TftpService
from bringup.netboot.upload import Receiver

_STOP_S = 2.0
_TFTP_RESTARTS_MAX = 5
_COMMAND_S = 5.0
# Long for a boot; an address left behind by a kill ends by itself.
_RA_ADDRESS_LIFE_S = 3600


def main() -> int:
    """Serve; returns the exit code."""
    os.environ["PATH"] = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"
    return answer_starter(_answer)


def _answer(request: dict[str, Any], emit: Emit) -> None:
    spec = ServeSpec.from_json(str(request.get("spec")))
    asyncio.run(_serve(spec, str(request.get("dnsmasq")), emit))


async def _serve(spec: ServeSpec, configuration: str, emit: Emit) -> None:
    stop = _stop_event()
    segment, catalog = spec.segment, Catalog(spec.files)
    is_stranger = stranger_check(segment.macs)
    async with contextlib.AsyncExitStack() as stack:
        receiver = None if spec.upload is None else Receiver(spec.upload, emit)
        http = HttpService(catalog, segment.server_ip, HTTP_PORT, emit, is_stranger, receiver)
        await http.start()
        stack.push_async_callback(http.stop)
        tftp = _TftpThread(
            lambda: TftpService(catalog, segment.server_ip, TFTP_PORT, emit, is_stranger), emit
        )
        stack.callback(tftp.close)
        if segment.own_segment:
            stack.callback(_run, _ra_address("delete", segment))
            _run(_ra_address("replace", segment))
        dnsmasq = await DnsmasqProcess.start(configuration, emit, stop)
        stack.push_async_callback(dnsmasq.close)
        emit(Event("run", READY, "serving DHCP, TFTP and HTTP", {"mode": segment.mode}))
        await stop.wait()
        dnsmasq.raise_if_lost()


def _stop_event() -> asyncio.Event:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)

    def starter_ended() -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed already
            loop.call_soon_threadsafe(stop.set)

    when_starter_ends(starter_ended)
    return stop


def _ra_address(verb: str, segment: Segment) -> list[str]:
    command = ["ip", "-6", "address", verb, RA_ADDRESS, "dev", segment.interface]
    if verb == "delete":
        return command
    # Never the source of anybody's traffic (preferred_lft 0), and usable at once (nodad).
    return [*command, "valid_lft", str(_RA_ADDRESS_LIFE_S), "preferred_lft", "0", "nodad"]


def _run(command: list[str]) -> None:
    # Without it a boot only takes longer, so a host that does not let us is no reason to stop.
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(command, capture_output=True, timeout=_COMMAND_S, check=False)


class _TftpThread:
    """Runs the TFTP server beside the event loop and starts it again if something still ends it."""

    def __init__(self, make: Callable[[], TftpService], emit: Emit) -> None:
        self._make = make
        self._emit = emit
        self._service = make()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="tftp", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        for _ in range(_TFTP_RESTARTS_MAX):
            try:
                self._service.serve()
                return
            except Exception as error:  # noqa: BLE001  the boot may still work; what happened is told
                reason = f"the server was restarted after {type(error).__name__}"
                self._emit(Event("tftp", "tftp.error", reason, {"path": None, "reason": reason}))
            if self._closing:
                return
            self._service = self._make()

    def close(self) -> None:
        self._closing = True
        self._service.stop()
        self._thread.join(_STOP_S)


if __name__ == "__main__":
    raise SystemExit(main())
