"""Orders to the maintenance ramdisk: each obeyed once, answered, and refused in words where it failed."""

from __future__ import annotations

import hashlib
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bringup.base.errors import BringupError, DiskError, LabError
from bringup.probe.agent import Agent
from tests.doubles.front_door import FrontDoor
from tests.doubles.ramdisk import FakeRamdisk

DATA = bytes(range(256)) * 256


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "sda"
    path.write_bytes(DATA)
    return path


@pytest.fixture
def agent() -> Iterator[Agent]:
    made = Agent(order_s=20.0)
    yield made
    made.close()


@pytest.fixture
def url(agent: Agent) -> Iterator[str]:
    """Where the ramdisk asks."""
    door = FrontDoor(agent.visits)
    yield agent.url(door.base_url)
    door.close()


Start = Callable[..., FakeRamdisk]


@pytest.fixture
def start(agent: Agent, url: str, disk: Path) -> Iterator[Start]:
    started: list[FakeRamdisk] = []

    def begin(
        listing: str = "sda size 38\n", fail: Callable[[list[str]], str | None] = lambda _words: None
    ) -> FakeRamdisk:
        started.append(FakeRamdisk(url, {"sda": disk}, listing, fail))
        return started[-1]

    yield begin
    agent.close()
    for each in started:
        each.close()


def test_what_it_is_told_happens_on_the_disk(agent: Agent, start: Start, disk: Path) -> None:
    ramdisk = start()
    assert agent.disks() == "sda size 38\n"
    assert agent.read("sda", 512, 512) == DATA[512:1024]
    agent.write("sda", 4096, 8, lambda: [b"new data"])
    agent.flush("sda")
    expected = DATA[:4096] + b"new data" + DATA[4104:]
    assert disk.read_bytes() == expected
    found = agent.hashes("sda", [(0, 4096), (4096, 8)])
    assert found == (hashlib.sha256(DATA[:4096]).hexdigest(), hashlib.sha256(b"new data").hexdigest())
    assert [order.split()[0] for order in ramdisk.obeyed] == ["disks", "read", "write", "flush", "hash"]


def test_an_order_may_wait_for_the_ramdisk(agent: Agent, start: Start) -> None:
    threading.Timer(0.05, start).start()
    assert agent.disks() == "sda size 38\n"


def test_it_is_heard_once(disk: Path) -> None:
    heard: list[str] = []
    made = Agent(heard=lambda: heard.append("ready"), order_s=20.0)
    door = FrontDoor(made.visits)
    ramdisk = FakeRamdisk(made.url(door.base_url), {"sda": disk}, "x")
    made.disks()
    made.disks()
    made.close()
    ramdisk.close()
    door.close()
    assert heard == ["ready"]


@pytest.mark.parametrize("why", ["write", "fetch"])
def test_a_failure_is_said_in_words(agent: Agent, start: Start, why: str) -> None:
    start(fail=lambda words: why if words[0] == "write" else None)
    with pytest.raises(DiskError, match="sda at 0") as failure:
        agent.write("sda", 0, 512, lambda: [bytes(512)])
    assert failure.value.why == why
    agent.flush("sda")


def test_content_of_another_length_is_not_written(agent: Agent, start: Start, disk: Path) -> None:
    start()
    with pytest.raises(DiskError):
        agent.write("sda", 0, 512, lambda: [bytes(511)])
    assert disk.read_bytes() == DATA


def test_bytes_that_did_not_arrive_are_asked_for_again(agent: Agent, start: Start) -> None:
    failures = iter(["send", None])
    ramdisk = start(fail=lambda words: next(failures))
    assert agent.disks() == "sda size 38\n"
    assert ramdisk.obeyed == ["disks", "disks"]


def test_silence_ends_the_job() -> None:
    made = Agent(order_s=0.0)
    with pytest.raises(LabError, match="has not answered"):
        made.flush("sda")
    made.close()


def test_what_ends_the_job_ends_the_wait() -> None:
    def check() -> None:
        raise LabError("the plug was pulled")

    made = Agent(check=check)
    with pytest.raises(LabError, match="plug"):
        made.flush("sda")
    made.close()


def test_a_disk_that_gave_its_name_to_another_is_gone(agent: Agent, start: Start, disk: Path) -> None:
    ramdisk = start(f"sda diskseq {b'7'.hex()}\n")
    agent.write("sda@7", 0, 512, lambda: [bytes(512)])
    ramdisk.listing = f"sda diskseq {b'8'.hex()}\n"
    for act in (
        lambda: agent.write("sda@7", 0, 512, lambda: [b"x" * 512]),
        lambda: agent.read("sda@7", 0, 512),
        lambda: agent.hashes("sda@7", [(0, 512)]),
        lambda: agent.flush("sda@7"),
    ):
        with pytest.raises(DiskError, match="the disk is not there any more") as failure:
            act()
        assert failure.value.why == "gone"
    assert disk.read_bytes() == bytes(512) + DATA[512:]


@pytest.mark.parametrize("answer", ["", "ab", "0" * 64, ",".join(["0" * 64] * 3), "x" * 64 + "," + "0" * 64])
def test_other_words_than_the_hashes_that_were_asked_for_are_refused(answer: str) -> None:
    made = Agent(order_s=20.0)
    threading.Thread(target=lambda: [made.order_for(1, "ready"), made.order_for(2, f"ok:{answer}")]).start()
    with pytest.raises(DiskError, match="2 hashes were asked for") as failure:
        made.hashes("sda", [(0, 512), (512, 512)])
    assert failure.value.why == "order"
    made.close()


def test_a_disk_name_is_only_a_name(agent: Agent) -> None:
    for name in ("../mem", "sda 0 512", "", "SDA", "sda@", "sda@x", "sda@1 0"):
        with pytest.raises(BringupError, match="not the name"):
            agent.flush(name)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "{}/order/x"),
        ("GET", "{}/chunk/0123"),
        ("GET", "{}/order"),
        ("GET", "http://HOST/"),
        ("GET", "http://HOST/00000000000000000000000000000000/order/1"),
        ("PUT", "{}/reply/7"),
        ("PUT", "{}/other/7"),
        ("DELETE", "{}/order/1"),
    ],
)
def test_a_stranger_learns_and_changes_nothing(url: str, method: str, path: str) -> None:
    host = url.split("/")[2]
    target, body = path.format(url).replace("HOST", host), b"x" if method == "PUT" else None
    request = urllib.request.Request(target, body, method=method)  # noqa: S310
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(request, timeout=30)  # noqa: S310
    assert error.value.code in (404, 422, 501)
