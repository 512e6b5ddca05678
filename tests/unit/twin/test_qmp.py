"""QEMU's monitor from threads, against a peer that speaks its protocol as badly as asked."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from bringup.base.errors import BringupError
from bringup.twin.qmp import Qmp

VERSION = {"qemu": {"micro": 0, "minor": 2, "major": 7}, "package": ""}
GREETING = {"QMP": {"version": VERSION, "capabilities": []}}
WHEN = {"timestamp": {"seconds": 1, "microseconds": 2}}
EVENT = {"event": "SHUTDOWN", "data": {"reason": "guest-reset"}, **WHEN}


class Peer:
    """The other end of a monitor: answers every command with its own arguments, or as `instead` says."""

    def __init__(self, greeting: bytes = json.dumps(GREETING).encode() + b"\n") -> None:
        self.ours, self._theirs = socket.socketpair()
        self.instead: dict[str, list[dict[str, Any]]] = {}
        self._theirs.sendall(greeting)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with self._theirs, self._theirs.makefile("rb") as lines:
            for line in lines:
                asked = json.loads(line)
                for answer in self.instead.get(asked["execute"], [{"return": asked["arguments"]}]):
                    with contextlib.suppress(OSError):
                        self.say(answer if "event" in answer else answer | {"id": asked["id"]})

    def say(self, body: dict[str, Any]) -> None:
        self._theirs.sendall(json.dumps(body).encode() + b"\n")

    def hang_up(self) -> None:
        self._theirs.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def peer() -> Peer:
    return Peer()


@pytest.fixture
def heard() -> list[tuple[str, dict[str, Any]]]:
    return []


@pytest.fixture
def qmp(peer: Peer, heard: list[tuple[str, dict[str, Any]]]) -> Iterator[Qmp]:
    made = Qmp(peer.ours, lambda name, data: heard.append((name, data)))
    yield made
    made.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "qmp"]


def test_answers_of_any_length_come_to_the_thread_that_asked(qmp: Qmp) -> None:
    told: dict[int, Any] = {}

    def ask(number: int) -> None:
        told[number] = qmp.execute("echo", text="x" * 200_000, n=number)["n"]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert told == {number: number for number in range(8)}


def test_a_refusal_says_what_was_refused_and_why(qmp: Qmp, peer: Peer) -> None:
    peer.instead["stop"] = [{"error": {"class": "GenericError", "desc": "not now"}}]
    with pytest.raises(BringupError, match="QEMU refused stop: not now"):
        qmp.execute("stop")
    assert qmp.execute("echo", n=1) == {"n": 1}


def test_events_come_before_and_after_answers(
    qmp: Qmp, peer: Peer, heard: list[tuple[str, dict[str, Any]]]
) -> None:
    later = [{"event": name, **WHEN} for name in ("RESUME", "STOP")]
    peer.instead["system_reset"] = [EVENT, {"return": {}}, *later]
    qmp.execute("system_reset")
    qmp.execute("echo")
    assert heard == [("SHUTDOWN", {"reason": "guest-reset"}), ("RESUME", {}), ("STOP", {})]


def test_a_monitor_that_went_away_is_one_sentence(qmp: Qmp, peer: Peer) -> None:
    peer.hang_up()
    with pytest.raises(BringupError, match=r"QEMU does not answer on its monitor \(query-status\)"):
        qmp.execute("query-status")
    qmp.close()
    with pytest.raises(BringupError, match=r"QEMU does not answer on its monitor \(query-status\)"):
        qmp.execute("query-status")


def test_an_end_while_somebody_waits(qmp: Qmp, peer: Peer) -> None:
    peer.instead["quit"] = []
    threading.Timer(0.1, peer.hang_up).start()
    with pytest.raises(BringupError, match="does not answer"):
        qmp.execute("quit")


@pytest.mark.parametrize("greeting", [b"nonsense\n", b"\xff\n", b'{"QMP": \n'])
def test_who_greets_with_nonsense_is_not_qemu(greeting: bytes) -> None:
    with pytest.raises(BringupError, match="does not answer on its monitor"):
        Qmp(Peer(greeting).ours, lambda *_: None)


def test_an_answer_to_something_else_is_passed_over(qmp: Qmp, peer: Peer) -> None:
    peer.say({"return": {"late": True}, "id": 1})
    assert qmp.execute("echo", n=2) == {"n": 2}
