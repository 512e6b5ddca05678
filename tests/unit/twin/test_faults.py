"""Faults by name: what a person may ask for, and when and where each acts."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.base.errors import UsageError
from bringup.base.stage import Stage
from bringup.boot.causes.table import TABLE
from bringup.twin.bmc.boot import BootFlags
from bringup.twin.bmc.request import NetFn, Request
from bringup.twin.bmc.server import VirtualBmc
from bringup.twin.faults.catalog import FAULTS
from bringup.twin.faults.choice import ChosenFault, choose, choose_all, plays
from bringup.twin.faults.director import DirectedBmc, DirectedBoard, Director
from bringup.twin.faults.system import SAYS, boot_sector, disk_with_system
from bringup.twin.machine import BOOT_NIC, OTHER_NIC, flaws_of

NETWORK_BIOS = BootFlags(bytes.fromhex("8004000000"))
KERNEL = b"\r\nbringup stand-in image, not seL4\r\n"
STATUS = Request(NetFn.CHASSIS, 0x01, b"", session=object())  # type: ignore[arg-type]
READ_OVERRIDE = Request(NetFn.CHASSIS, 0x09, b"\x05\0\0", session=object())  # type: ignore[arg-type]
KEEP_OVERRIDE = Request(NetFn.CHASSIS, 0x08, b"\x03\x08", session=object())  # type: ignore[arg-type]


@dataclass
class Board:
    """A board that only remembers."""

    orders: list[str] = field(default_factory=list)

    def is_on(self) -> bool:
        return True

    def power_on(self) -> None:
        self.orders.append("on")

    def power_off(self) -> None:
        self.orders.append("off")

    def power_cycle(self) -> None:
        self.orders.append("cycle")

    def reset(self) -> None:
        self.orders.append("reset")

    def soft_off(self) -> None:
        self.orders.append("soft")

    def pulse_diag(self) -> None:
        self.orders.append("diag")

    def write_serial(self, data: bytes) -> None:
        self.orders.append("typed")

    def send_break(self) -> None:
        self.orders.append("break")


@dataclass
class Played:
    """A BMC, its board, and the director between them."""

    director: Director
    bmc: VirtualBmc
    board: Board
    told: list[str]

    @property
    def seen_by_bmc(self) -> DirectedBoard:
        return DirectedBoard(self.board, self.director)

    @property
    def seen_by_board(self) -> DirectedBmc:
        return DirectedBmc(self.bmc, self.director)


@pytest.fixture
def stage(request: pytest.FixtureRequest) -> Iterator[Played]:
    """The faults of the test's parameter, at work."""
    told: list[str] = []
    director = Director(choose_all(request.param), 7, now=time.monotonic, tell_wire=told.append)
    board = Board()
    bmc = VirtualBmc(
        DirectedBoard(board, director), {"a": ("b", "operator")}, None, intercept=director.answers
    )
    director.start(bmc, board)
    stop = threading.Event()
    thread = threading.Thread(target=bmc.serve_forever, args=(stop,))
    thread.start()
    yield Played(director, bmc, board, told)
    director.close()
    stop.set()
    thread.join()


def played(*texts: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("stage", [texts], indirect=True)


# What may be asked for.


def test_every_fault_has_words_a_moment_that_can_be_asked_for_and_a_verdict() -> None:
    assert len(FAULTS) >= 30
    for name, fault in FAULTS.items():
        chosen = choose(f"{name}@{fault.at}")
        assert (str(chosen), chosen.at) == (name, fault.at)
        assert fault.verdict_on("qemu") == fault.verdict
        assert fault.verdict_on("scripted") in (fault.verdict, fault.scripted)
        assert fault.what[0].islower() or fault.what.startswith(("VT-x", "DHCP", "BMC"))
        assert not fault.what.endswith(".")
        assert fault.verdict


def test_a_moment_is_a_stage_or_seconds() -> None:
    assert choose("sol-drop@kernel").stage is Stage.KERNEL
    assert choose("sol-drop@2.5").at == 2.5
    assert choose("sol-drop@8s").at == 8.0
    assert choose("sol-drop@start").stage is None
    assert choose("bmc-silent@kernel,for=9").number("for") == 9
    assert choose("bmc-silent").number("for") == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sol-dropp", "did you mean sol-drop?"),
        ("sol-drop@lunch", "neither a stage nor seconds"),
        ("sol-drop@-1", "neither a stage nor seconds"),
        ("sol-drop@nan", "neither a stage nor seconds"),
        ("sol-drop,for=2", "has no parameter 'for'"),
        ("tftp-loss,share=many", "not a number"),
        ("tftp-loss,share=-5", "not a number"),
        ("tftp-loss,share=inf", "not a number"),
        ("no-link@kernel", "from the start or not at all"),
        ("", "no fault ''"),
    ],
)
def test_what_is_no_fault_is_refused_in_one_sentence(text: str, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        choose(text)
    assert says in refused.value.message
    assert refused.value.hint


def test_one_fault_is_named_once_and_the_image_plays_one_thing() -> None:
    with pytest.raises(UsageError, match="asked for twice"):
        choose_all(["sol-drop", "sol-drop@kernel"])
    assert plays(choose_all(["no-vtx", "sol-drop"])) == ("vtx-locked",)
    with pytest.raises(UsageError, match="different things"):
        plays(choose_all(["no-vtx", "reboot-loop"]))


@given(
    st.sampled_from(sorted(FAULTS)),
    st.sampled_from(["", "@kernel", "@start", "@0.5", "@30"]),
    st.floats(0, 1e6),
)
def test_a_choice_reads_back_as_it_is_written(name: str, moment: str, number: float) -> None:
    named = FAULTS[name].parameters[:1]
    text = name + moment + "".join(f",{one.name}={number:g}" for one in named)
    if FAULTS[name].fixed:
        text = name
    chosen = choose(text)
    assert choose(str(chosen)) == chosen


@given(st.text(max_size=40))
def test_any_text_is_a_fault_or_refused(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert isinstance(choose(text), ChosenFault)


# What they do, and when.


@played("power-dead")
def test_a_dead_button_takes_every_order_and_nothing_happens(stage: Played) -> None:
    for order in ("power_on", "power_off", "power_cycle", "reset", "soft_off"):
        getattr(stage.seen_by_bmc, order)()
    assert stage.board.orders == []


@played("power-on-ignored,times=2")
def test_only_so_many_power_ons_are_ignored(stage: Played) -> None:
    board = stage.seen_by_bmc
    for _ in range(3):
        board.power_on()
    board.power_off()
    assert stage.board.orders == ["on", "off"]


@played("plug-pulled@0.02,for=0.1")
def test_a_pulled_plug_takes_the_bmc_along_and_the_board_stays_off(stage: Played) -> None:
    stage.seen_by_board.log_power(on=True)
    deadline, was = time.monotonic() + 60, [False]
    while was != [False, True, False]:
        assert time.monotonic() < deadline, was
        if stage.bmc.frozen != was[-1]:
            was.append(stage.bmc.frozen)
        time.sleep(0.002)
    assert stage.board.orders == ["off"]


@played("override-ignored")
def test_firmware_that_ignores_the_override_boots_by_its_own_order(stage: Played) -> None:
    assert stage.director.boots(NETWORK_BIOS).device == "none"


@played("wrong-architecture")
def test_the_other_firmware_is_the_same_device_by_the_other_way(stage: Played) -> None:
    flags = stage.director.boots(NETWORK_BIOS)
    assert (flags.device, flags.uefi) == ("network", True)


@played("override-unreadable", "override-expired")
def test_what_is_held_of_the_override_is_not_told_and_its_timer_not_stopped(stage: Played) -> None:
    assert stage.director.answers(READ_OVERRIDE) == 0x80
    assert stage.director.answers(KEEP_OVERRIDE) == 0x80
    assert stage.director.answers(STATUS) is None


@played("bmc-busy,times=2")
def test_a_busy_bmc_is_busy_so_many_times(stage: Played) -> None:
    assert [stage.director.answers(STATUS) for _ in range(3)] == [0xC0, 0xC0, None]


def test_chances_are_the_seeds_and_the_names_alone() -> None:
    def codes(seed: int, *texts: str) -> list[int | None]:
        director = Director(choose_all(texts), seed, now=time.monotonic)
        director.start(None, Board())  # type: ignore[arg-type]  these two do nothing to a BMC
        return [director.answers(STATUS) for _ in range(60)]

    first = codes(1, "bmc-odd-codes,share=50")
    assert first == codes(1, "override-ignored", "bmc-odd-codes,share=50")
    assert first != codes(2, "bmc-odd-codes,share=50")
    assert set(first) == {None, 0xFF, 0xC3, 0xD3, 0xC0}


@played("first-bytes-lost,bytes=10")
def test_the_first_bytes_after_power_on_are_lost(stage: Played) -> None:
    assert stage.director.console(b"before") == b"before"
    stage.seen_by_board.log_power(on=True)
    assert stage.director.console(b"0123456") == b""
    assert stage.director.console(b"7890abc") == b"0abc"


@played("wrong-baud")
def test_another_speed_makes_characters_that_are_none(stage: Played) -> None:
    garbled = stage.director.console(b"Booting all finished" * 20)
    assert len(garbled) == 400
    assert not set(garbled) & set(range(0x20, 0x7F))


@played("console-gap@kernel,for=60")
def test_a_stage_is_seen_before_the_fault_acts_on_its_text(stage: Played) -> None:
    assert stage.director.console(b"SeaBIOS (version 1.16)\r\n") == b"SeaBIOS (version 1.16)\r\n"
    assert stage.director.console(KERNEL) == b""
    assert stage.director.console(b"dropped to user space") == b""


@played("dhcp-lost@dhcp", "slow-link@power", "http-reset@loader")
def test_faults_of_the_network_begin_by_what_the_wire_and_the_board_tell(stage: Played) -> None:
    assert stage.told == []
    stage.seen_by_board.log_power(on=True)
    assert stage.told == ["slow-link"]
    stage.director.seen(Stage.LOADER)
    stage.seen_by_board.log_power(on=True)
    assert stage.told == ["slow-link", "dhcp-lost", "http-reset"]


@played("bmc-silent@0.05,for=0.05")
def test_seconds_count_from_power_on_and_a_fault_that_ends_ends(stage: Played) -> None:
    assert not stage.bmc.frozen
    stage.seen_by_board.log_power(on=True)
    deadline = time.monotonic() + 60
    was = [stage.bmc.frozen]
    while was[-1] == stage.bmc.frozen or len(was) < 3:
        assert time.monotonic() < deadline, was
        if stage.bmc.frozen != was[-1]:
            was.append(stage.bmc.frozen)
        if was == [False, True, False]:
            break
        time.sleep(0.002)
    assert was == [False, True, False]


@played("watchdog@power,after=0")
def test_a_watchdog_that_fires_resets_the_board_and_is_in_the_log(stage: Played) -> None:
    stage.seen_by_board.log_power(on=True)
    deadline = time.monotonic() + 60
    while "reset" not in stage.board.orders:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert stage.bmc._state.sel.records[-1][10] == 0x23  # watchdog 2 (table 42-3)


def test_faults_of_the_machine_change_the_machine() -> None:
    assert flaws_of(()).boot_nic == BOOT_NIC
    assert flaws_of(choose_all(["other-nic"])).boot_nic == OTHER_NIC
    assert flaws_of(choose_all(["no-link"])).no_link
    assert flaws_of(choose_all(["override-expired"])).post_s > 60


def test_codes_of_the_table_of_causes_are_spelt_as_there() -> None:
    ours = {fault.verdict for fault in FAULTS.values()}
    assert len(ours & set(TABLE)) >= 8


def test_a_board_that_boots_its_disk_finds_a_system_there(tmp_path: Path) -> None:
    sector = boot_sector()
    assert (len(sector), sector[-2:]) == (512, b"\x55\xaa")
    text_at = int.from_bytes(sector[6:8], "little") - 0x7C00
    assert sector[text_at:].startswith(SAYS + b"\0")
    (disk,) = disk_with_system(tmp_path, choose_all(["override-ignored"]))
    assert disk.file is not None and Path(disk.file).read_bytes().startswith(sector)
    assert disk_with_system(tmp_path, choose_all(["sol-drop"])) == ()
