"""The serving process: DHCP, TFTP and HTTP of every boot on one interface, while there is one.

    python -m bringup.netboot.serve

Its request (see base/child.py) is a meeting point (`rendezvous.py`). It belongs to none of the boots: each
connects to the meeting point and is served until it leaves or its connection ends, and the process ends with
the last one. Once it listens it has no rights but those of serving.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

from bringup.base.child import READY, answer_starter
from bringup.base.errors import LabError, ProfileError
from bringup.base.events import Emit, Event
from bringup.base.privilege import keep_serving_rights, outlive_starter
from bringup.netboot.hub import Hub
from bringup.netboot.rendezvous import Rendezvous

# For the one before to end: it stops its servers, or what is left of it is killed by the kernel.
_PLACE_S = 8.0
_PLACE_LOOK_EVERY_S = 0.02
_FIRST_BOOT_S = 10.0


def main() -> int:
    """Serve; returns the exit code."""
    os.environ["PATH"] = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"
    os.chdir("/")
    outlive_starter()
    keep_serving_rights()
    return answer_starter(_answer)


def _answer(request: dict[str, Any], emit: Emit) -> None:
    try:
        point = Rendezvous(Path(request["folder"]), str(request["name"]))
    except (KeyError, TypeError):
        raise ProfileError("not a description of a network boot: where to meet is not said") from None
    lock = _place(point)
    if lock is None:
        emit(Event("run", READY, "somebody serves already"))
        return
    try:
        asyncio.run(_serve(point, lock, emit))
    finally:
        point.forget()


def _place(point: Rendezvous) -> int | None:
    """Return the lock of who serves, None when somebody does; raises LabError when neither comes true."""
    deadline_s = time.monotonic() + _PLACE_S
    while time.monotonic() < deadline_s:
        lock = point.lock()
        if lock is not None:
            return lock
        if point.is_met():
            return None
        time.sleep(_PLACE_LOOK_EVERY_S)
    raise LabError(
        "the process that serves this interface ends and does not come to an end",
        hint=f"see who has {point.folder / point.name}.lock open: fuser",
    )


async def _serve(point: Rendezvous, lock: int, emit: Emit) -> None:
    loop = asyncio.get_running_loop()
    hub = Hub(lock)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, hub.ended.set)
    listening = point.listen()
    loop.add_reader(listening, _accept, listening, hub)
    # Whoever starts this process and is killed before it connects leaves nothing behind.
    loop.call_later(_FIRST_BOOT_S, hub.end_if_idle)
    emit(Event("run", READY, "boots can meet"))
    try:
        await hub.ended.wait()
    finally:
        # Who comes now finds no meeting point, and starts another process, which waits for our lock.
        loop.remove_reader(listening)
        point.path.unlink(missing_ok=True)
        listening.close()
        await hub.close()


def _accept(listening: socket.socket, hub: Hub) -> None:
    with contextlib.suppress(OSError):
        sock, _ = listening.accept()
        hub.meet(sock)


if __name__ == "__main__":
    raise SystemExit(main())
