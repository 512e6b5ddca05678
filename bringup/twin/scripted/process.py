"""Many scripted boards in one process, in a network namespace beside the twin's: orders come on stdin.

The request names the boards: `name`, `interface`, `mac`, `no_link`, `post_s`, `no_vtx`, `disk`. An order is a
line `{"board": NAME, "do": "on", "network": true, "uefi": false}`, `{"board": NAME, "do": "off"}` or
`{"board": NAME, "do": "hear", "text": "y"}`. What a board says, and that it resets itself, are events.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from bringup.base.child import READY, answer_starter
from bringup.base.events import Emit, Event
from bringup.twin.scripted.board import Nature, ScriptedBoard
from bringup.twin.scripted.disk import BoardDisk
from bringup.twin.scripted.network import Nic

SAID, RESETS = "board.said", "board.resets"
# Many ports of one segment in one namespace: each answers for its own address only (ip-sysctl.rst).
_SETTINGS = {"arp_ignore": "1", "arp_announce": "2"}


def _serve(request: dict[str, Any], emit: Emit) -> None:
    for name, value in _SETTINGS.items():
        with contextlib.suppress(OSError):
            Path(f"/proc/sys/net/ipv4/conf/all/{name}").write_text(value)
    asyncio.run(_play(request["boards"], emit))


async def _play(specs: list[dict[str, Any]], emit: Emit) -> None:
    boards = {spec["name"]: _board(spec, emit) for spec in specs}
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    # What boards have started is ended, too.
    loop.add_signal_handler(signal.SIGTERM, ended.set)

    def read_orders() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(_obey, boards, json.loads(line))
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=read_orders, name="orders", daemon=True).start()
    emit(Event("twin", READY, "the boards are there"))
    await ended.wait()


def _board(spec: dict[str, Any], emit: Emit) -> ScriptedBoard:
    name = spec["name"]
    disk = BoardDisk(**spec["disk"]) if spec["disk"] else None
    nature = Nature(
        Nic(spec["interface"], spec["mac"]), spec["no_link"], spec["post_s"], disk, no_vtx=spec["no_vtx"]
    )
    return ScriptedBoard(
        nature,
        lambda text: emit(Event("twin", SAID, "", {"board": name, "text": text})),
        lambda: emit(Event("twin", RESETS, "", {"board": name})),
    )


def _obey(boards: dict[str, ScriptedBoard], order: dict[str, Any]) -> None:
    board = boards[order["board"]]
    if order["do"] == "on":
        board.on(network=order["network"], uefi=order["uefi"])
    elif order["do"] == "hear":
        board.hear(order["text"])
    else:
        board.off()


if __name__ == "__main__":
    code = answer_starter(_serve)
    sys.stdout.flush()
    os._exit(code)
