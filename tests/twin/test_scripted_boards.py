"""Many scripted boards in one process: each has power, a cable and a console of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from bringup.twin.machine import SOUND
from bringup.twin.network import Keeper
from bringup.twin.scripted.boards import Boards, BoardSpec, Listener
from tests.twin.helpers import wait_for
from tests.twin.netboot_lab import need

pytestmark = pytest.mark.slow

NAMES = [f"board{number}" for number in range(6)]


@pytest.fixture
def shelf() -> Iterator[tuple[Boards, dict[str, bytearray]]]:
    """Six boards, and what each has said."""
    need("unshare", "nsenter", "setpriv", "ip")
    keeper = Keeper([])
    boards, said = Boards(keeper.namespace), {name: bytearray() for name in NAMES}
    lock = threading.Lock()

    def listener(name: str) -> Listener:
        def take(data: bytes) -> None:
            with lock:
                said[name] += data

        return Listener(take, lambda: None)

    for number, name in enumerate(NAMES):
        boards.add(BoardSpec(name, f"52:54:00:0e:31:0{number}", SOUND), listener(name))
    try:
        boards.start()
        yield boards, said
    finally:
        boards.close()
        keeper.close()


def test_each_board_says_its_own_text_and_only_when_it_has_power(
    shelf: tuple[Boards, dict[str, bytearray]],
) -> None:
    boards, said = shelf
    for name in NAMES[:3]:
        boards.switch_on(name, network=True, uefi=False)
    boards.switch_on(NAMES[3], network=False, uefi=False)
    assert wait_for(lambda: all(b"CLIENT MAC ADDR:" in said[name] for name in NAMES[:3]))
    for number, name in enumerate(NAMES[:3]):
        assert f"52:54:00:0E:31:0{number}".encode() in said[name]
    assert wait_for(lambda: b"login: " in said[NAMES[3]])
    assert not said[NAMES[4]] and not said[NAMES[5]]
    # Nobody serves them: the ROM gives up in its own words.
    assert wait_for(lambda: b"PXE-E51" in said[NAMES[0]])
    boards.switch_off(NAMES[1])
    boards.switch_on(NAMES[4], network=False, uefi=False)
    # Their one process takes one order after the other: who speaks now, does so after the other was off.
    assert wait_for(lambda: said[NAMES[4]])
    before = bytes(said[NAMES[1]])
    assert wait_for(lambda: b"login: " in said[NAMES[4]])
    assert bytes(said[NAMES[1]]) == before
