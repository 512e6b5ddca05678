"""The BMC's command table without sockets: what every request is answered, and what is remembered."""

from __future__ import annotations

import json
import threading
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.twin.bmc.boot import BootFlags, BootOptions
from bringup.twin.bmc.commands import COMMANDS, execute
from bringup.twin.bmc.request import BmcSession, Code, LanIdentity, Privilege, Request, Response, Shared
from bringup.twin.bmc.sdr import REPOSITORY, SENSORS
from bringup.twin.bmc.sel import CAPACITY, event_record
from bringup.twin.bmc.state import BmcState

UEFI_PXE_ONCE = bytes([0xA0, 0x04, 0, 0, 0])
UEFI_PXE_ALWAYS = bytes([0xE0, 0x04, 0, 0, 0])


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Board:
    on: bool = False
    calls: list[str] = field(default_factory=list)

    def is_on(self) -> bool:
        return self.on

    def __getattr__(self, name: str) -> Any:
        return lambda *_: self.calls.append(name)


@dataclass(eq=False)
class LoggedIn:
    managed_id: bytes = b"\x01\x02\x03\x04"
    username: str = "admin"
    privilege: Privilege = Privilege.USER
    max_privilege: Privilege = Privilege.ADMINISTRATOR
    sockaddr: tuple[str, int] = ("127.0.0.1", 40000)
    closed: bool = False

    def close(self) -> None:
        self.closed = True

    def send_sol(self, payload: bytes) -> None:
        raise AssertionError("commands send nothing")


@dataclass
class Console:
    owner: BmcSession | None = None

    def activate(self, session: BmcSession) -> None:
        self.owner = session

    def deactivate(self) -> None:
        self.owner = None


@dataclass
class Bench:
    clock: Clock
    board: Board
    session: LoggedIn
    shared: Shared

    def ask(
        self, netfn: int, command: int, *data: int, privilege: Privilege = Privilege.ADMINISTRATOR
    ) -> Response:
        return execute(Request(netfn, command, bytes(data), privilege, self.session), self.shared)

    def data(self, netfn: int, command: int, *data: int) -> bytes:
        response = self.ask(netfn, command, *data)
        assert response.code == Code.OK, f"completion code {response.code:#x}"
        return response.data


def bench_of(file: Path | None = None, clock: Clock | None = None) -> Bench:
    clock = clock or Clock()
    board, session = Board(), LoggedIn()
    shared = Shared(
        state=BmcState.load(file, clock),
        chassis=board,
        identity=LanIdentity("127.0.0.1", 6230, bytes(6)),
        users={"admin": Privilege.ADMINISTRATOR, "guest": Privilege.USER},
        suites=(3, 17),
        sol=Console(),
        sessions=lambda: [session],
    )
    return Bench(clock, board, session, shared)


@pytest.fixture
def bench() -> Bench:
    return bench_of()


@given(
    command=st.one_of(st.sampled_from(sorted(COMMANDS)), st.tuples(st.integers(0, 63), st.integers(0, 255))),
    data=st.binary(max_size=40),
    privilege=st.sampled_from(Privilege),
    on_lan=st.booleans(),
)
def test_no_request_raises_or_answers_rubbish(
    command: tuple[int, int], data: bytes, privilege: Privilege, on_lan: bool
) -> None:
    bench = bench_of()
    request = Request(*command, data, privilege, bench.session if on_lan else None)
    response = execute(request, bench.shared)
    assert 0 <= response.code <= 0xFF
    assert response.code == Code.OK or response.data == b""
    assert len(response.data) < 256


def test_every_command_is_refused_below_its_privilege(bench: Bench) -> None:
    for (netfn, number), command in COMMANDS.items():
        if command.privilege > Privilege.NONE:
            below = Privilege(command.privilege - 1)
            assert bench.ask(netfn, number, *bytes(20), privilege=below).code == Code.INSUFFICIENT_PRIVILEGE


def test_every_command_is_refused_with_too_little_data(bench: Bench) -> None:
    for (netfn, number), command in COMMANDS.items():
        if command.minimum:
            response = bench.ask(netfn, number, *bytes(command.minimum - 1))
            assert response.code == Code.LENGTH_INVALID


def test_before_login_unknown_commands_are_not_told_from_forbidden_ones(bench: Bench) -> None:
    unknown = bench.ask(0x2C, 0x01, privilege=Privilege.NONE)
    assert unknown.code == bench.ask(0x06, 0x01, privilege=Privilege.NONE).code


def test_device_id_is_this_vendors(bench: Bench) -> None:
    answer = bench.data(0x06, 0x01)
    assert answer[4] == 0x02
    assert int.from_bytes(answer[6:9], "little") == 10876


@pytest.mark.parametrize(
    ("action", "call"),
    [(0, "power_off"), (1, "power_on"), (4, "pulse_diag"), (5, "soft_off")],
)
def test_power_actions_reach_the_chassis_in_any_state(bench: Bench, action: int, call: str) -> None:
    bench.data(0x00, 0x02, action)
    assert bench.board.calls == [call]


@pytest.mark.parametrize(("action", "call"), [(2, "power_cycle"), (3, "reset")])
def test_cycle_and_reset_need_power(bench: Bench, action: int, call: str) -> None:
    assert bench.ask(0x00, 0x02, action).code == Code.NOT_IN_PRESENT_STATE
    assert bench.board.calls == []
    bench.board.on = True
    bench.data(0x00, 0x02, action)
    assert bench.board.calls == [call]


def test_the_chassis_may_ask_for_boot_flags_from_another_thread_while_it_is_told(bench: Bench) -> None:
    state, seen = bench.shared.state, []

    def power_on() -> None:
        def ask() -> None:
            with state.changing():
                seen.append(state.boot.take(0.0).device)

        asker = threading.Thread(target=ask, daemon=True)
        asker.start()
        asker.join(timeout=30)

    bench.board.power_on = power_on  # type: ignore[attr-defined]
    set_flags(bench, UEFI_PXE_ONCE)
    bench.data(0x00, 0x02, 1)
    assert seen == ["network"]


def test_unknown_power_action_does_nothing(bench: Bench) -> None:
    assert bench.ask(0x00, 0x02, 9).code == Code.INVALID_FIELD
    assert bench.board.calls == []


def test_chassis_status_shows_power_policy_and_identify(bench: Bench) -> None:
    bench.board.on = True
    bench.data(0x00, 0x06, 0x02)
    bench.data(0x00, 0x04, 10)
    status = bench.data(0x00, 0x01)
    assert status[0] == 0x01 | 0x02 << 5
    assert status[2] & 0x30 == 0x10
    bench.clock.now += 11
    assert bench.data(0x00, 0x01)[2] & 0x30 == 0


def set_flags(bench: Bench, flags: bytes) -> None:
    bench.data(0x00, 0x08, 5, *flags)


def get_flags(bench: Bench) -> bytes:
    return bench.data(0x00, 0x09, 5, 0, 0)[2:]


def test_boot_flags_are_kept_as_raw_bytes(bench: Bench) -> None:
    set_flags(bench, b"\xe0\x24\x11\x22\x03")
    assert bench.data(0x00, 0x09, 5, 0, 0) == b"\x01\x05\xe0\x24\x11\x22\x03"


def test_boot_flags_expire_after_a_minute(bench: Bench) -> None:
    set_flags(bench, UEFI_PXE_ALWAYS)
    bench.clock.now += 59.9
    assert get_flags(bench)[0] & 0x80
    bench.clock.now += 0.2
    assert get_flags(bench) == b"\x60\x04\x00\x00\x00"
    assert bench.shared.state.boot.take(bench.clock.now).device == "none"


@pytest.mark.parametrize("timer_first", [True, False])
def test_parameter_3_stops_the_expiry(bench: Bench, timer_first: bool) -> None:
    if timer_first:
        bench.data(0x00, 0x08, 3, 0x08)
    set_flags(bench, UEFI_PXE_ONCE)
    if not timer_first:
        bench.data(0x00, 0x08, 3, 0x08)
    bench.clock.now += 3600
    assert get_flags(bench) == UEFI_PXE_ONCE


def test_a_power_command_starts_the_minute_again(bench: Bench) -> None:
    set_flags(bench, UEFI_PXE_ONCE)
    bench.clock.now += 50
    bench.data(0x00, 0x02, 1)
    bench.clock.now += 50
    assert get_flags(bench)[0] & 0x80


def test_flags_for_once_are_spent_by_one_boot_and_persistent_ones_are_not() -> None:
    options = BootOptions()
    options.set(5, UEFI_PXE_ONCE, 0.0)
    first, second = options.take(1.0), options.take(2.0)
    assert (first.device, first.uefi, second.device) == ("network", True, "none")
    options.set(5, UEFI_PXE_ALWAYS, 3.0)
    assert [options.take(4.0).device, options.take(500.0).device] == ["network", "network"]


@pytest.mark.parametrize(
    ("second", "device"), [(0x04, "network"), (0x08, "disk"), (0x24, "disk"), (0x18, "setup"), (0x00, "none")]
)
def test_device_selectors(second: int, device: str) -> None:
    assert BootFlags(bytes([0x80, second, 0, 0, 0])).device == device
    assert BootFlags(bytes([0x00, second, 0, 0, 0])).device == "none"


def test_boot_options_refuse_bad_lengths_and_unknown_parameters(bench: Bench) -> None:
    assert bench.ask(0x00, 0x08, 5, 0x80).code == Code.LENGTH_INVALID
    assert bench.ask(0x00, 0x08, 99, 0).code == Code.PARAMETER_NOT_SUPPORTED
    assert bench.ask(0x00, 0x09, 99, 0, 0).code == Code.PARAMETER_NOT_SUPPORTED


def test_state_survives_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "bmc.json"
    before = bench_of(file)
    before.data(0x00, 0x08, 3, 0x08)
    set_flags(before, UEFI_PXE_ALWAYS)
    before.data(0x00, 0x06, 0x01)
    before.data(0x0A, 0x44, *event_record(0x22, 0, at_s=0))
    clock = Clock()
    clock.now += 10_000
    after = bench_of(file, clock)
    assert get_flags(after) == UEFI_PXE_ALWAYS
    assert after.data(0x00, 0x09, 3, 0, 0)[2] == 0x08
    assert after.data(0x00, 0x01)[0] >> 5 == 0x01
    assert after.data(0x0A, 0x40)[1] == 1
    assert after.data(0x06, 0x37) == before.data(0x06, 0x37)
    assert int.from_bytes(after.data(0x0A, 0x44, *event_record(0x22, 6, at_s=0)), "little") == 2


def test_expiry_goes_on_while_the_bmc_is_down(tmp_path: Path) -> None:
    file = tmp_path / "bmc.json"
    set_flags(bench_of(file), UEFI_PXE_ONCE)
    later = Clock()
    later.now += 61
    assert not get_flags(bench_of(file, later))[0] & 0x80


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"guid": 3}', b"\xff\xfe", b'{"guid": "%s", "sel": ["zz"]}']
)
def test_a_damaged_state_file_gives_a_new_bmc(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "bmc.json"
    file.write_bytes(content.replace(b"%s", str(uuid.uuid4()).encode()))
    bench = bench_of(file)
    assert get_flags(bench) == bytes(5)
    assert json.loads(file.read_text())["sel"] == []


def test_the_state_file_holds_no_password(tmp_path: Path) -> None:
    file = tmp_path / "bmc.json"
    bench_of(file)
    assert set(json.loads(file.read_text())) == {"guid", "boot", "sel", "power_restore_policy", "lan_mode"}


def test_sel_walk_delete_and_clear(bench: Bench) -> None:
    for offset in (0, 6, 0):
        bench.data(0x0A, 0x44, *event_record(0x22, offset, at_s=0))
    seen, number = [], 0
    while number != 0xFFFF:
        answer = bench.data(0x0A, 0x43, 0, 0, *number.to_bytes(2, "little"), 0, 0xFF)
        seen.append(answer[2 + 13])
        number = int.from_bytes(answer[:2], "little")
    assert seen == [0, 6, 0]
    assert bench.ask(0x0A, 0x46, 0, 0, 2, 0).code == Code.RESERVATION_CANCELED
    reservation = bench.data(0x0A, 0x42)
    assert bench.data(0x0A, 0x46, *reservation, 2, 0) == b"\x02\x00"
    reservation = bench.data(0x0A, 0x42)
    assert bench.data(0x0A, 0x47, *reservation, *b"CLR", 0xAA) == b"\x01"
    assert bench.data(0x0A, 0x40)[1:3] == b"\x00\x00"
    assert bench.ask(0x0A, 0x43, 0, 0, 0, 0, 0, 0xFF).code == Code.NOT_PRESENT


def test_a_full_sel_refuses_and_says_so(bench: Bench) -> None:
    for _ in range(CAPACITY):
        bench.data(0x0A, 0x44, *event_record(0x22, 0, at_s=0))
    assert bench.ask(0x0A, 0x44, *event_record(0x22, 0, at_s=0)).code == 0xC4
    info = bench.data(0x0A, 0x40)
    assert int.from_bytes(info[1:3], "little") == CAPACITY
    assert info[13] & 0x80


def test_sdr_repository_walk_gives_every_record_whole(bench: Bench) -> None:
    records, number = [], 0
    while number != 0xFFFF:
        answer = bench.data(0x0A, 0x23, 0, 0, *number.to_bytes(2, "little"), 0, 0xFF)
        records.append(answer[2:])
        number = int.from_bytes(answer[:2], "little")
    assert tuple(records) == REPOSITORY
    assert all(len(record) == 5 + record[4] for record in records)


def test_partial_sdr_reads_need_the_reservation(bench: Bench) -> None:
    assert bench.ask(0x0A, 0x23, 9, 9, 1, 0, 5, 8).code == Code.RESERVATION_CANCELED
    reservation = bench.data(0x0A, 0x22)
    assert bench.data(0x0A, 0x23, *reservation, 1, 0, 5, 8)[2:] == REPOSITORY[0][5:13]


def test_sensors_read_only_with_power_except_on_standby(bench: Bench) -> None:
    for sensor in SENSORS:
        unavailable = bool(bench.data(0x04, 0x2D, sensor.number)[1] & 0x20)
        assert unavailable is not sensor.standby
    bench.board.on = True
    for sensor in SENSORS:
        reading = bench.data(0x04, 0x2D, sensor.number)
        assert reading[1] & 0x20 == 0
        assert reading[2] & 0x3F == 0, f"{sensor.name} is plausible: no threshold crossed"


def test_sol_is_given_once_and_says_who_has_it(bench: Bench) -> None:
    assert bench.data(0x06, 0x4B, 1, 1) == bytes(12)
    answer = bench.data(0x06, 0x48, 1, 1, 0xC0, 0, 0, 0)
    assert answer[4:6] == answer[6:8] == b"\xc8\x00"
    assert int.from_bytes(answer[8:10], "little") == 6230
    assert bench.data(0x06, 0x4B, 1, 1)[:4] == bench.session.managed_id
    assert bench.data(0x06, 0x4A, 1) == b"\x01\x01\x00"
    assert bench.ask(0x06, 0x48, 1, 1, 0xC0, 0, 0, 0).code == 0x80
    bench.data(0x06, 0x49, 1, 1, 0, 0, 0, 0)
    assert bench.ask(0x06, 0x49, 1, 1, 0, 0, 0, 0).code == 0x80


def test_sol_can_be_disabled(bench: Bench) -> None:
    bench.data(0x0C, 0x21, 1, 1, 0)
    assert bench.ask(0x06, 0x48, 1, 1, 0xC0, 0, 0, 0).code == 0x81
    bench.data(0x0C, 0x21, 1, 1, 1)
    assert bench.ask(0x06, 0x48, 1, 1, 0xC0, 0, 0, 0).code == Code.OK


def test_the_board_itself_cannot_hold_a_console(bench: Bench) -> None:
    request = Request(0x06, 0x48, bytes([1, 1, 0, 0, 0, 0]))
    assert execute(request, bench.shared).code == Code.NOT_IN_PRESENT_STATE


def test_privilege_is_raised_no_further_than_the_login_allows(bench: Bench) -> None:
    bench.session.max_privilege = Privilege.OPERATOR
    assert bench.data(0x06, 0x3B, 3) == b"\x03"
    assert bench.ask(0x06, 0x3B, 4).code == 0x81
    assert bench.session.privilege is Privilege.OPERATOR


def test_close_session_names_an_existing_one(bench: Bench) -> None:
    assert bench.ask(0x06, 0x3C, 9, 9, 9, 9).code == 0x87
    bench.data(0x06, 0x3C, *bench.session.managed_id)
    assert bench.session.closed


def test_users_start_at_number_2(bench: Bench) -> None:
    assert bench.data(0x06, 0x46, 1) == bytes(16)
    assert bench.data(0x06, 0x46, 2).rstrip(b"\0") == b"admin"
    assert bench.data(0x06, 0x44, 1, 3)[3] & 0x0F == Privilege.USER
    assert bench.ask(0x06, 0x44, 1, 11).code == Code.INVALID_FIELD


def test_watchdog_counts_down_and_off_stops_it(bench: Bench) -> None:
    assert bench.ask(0x06, 0x22).code == 0x80
    bench.data(0x06, 0x24, 0x04, 0x01, 0, 0, 100, 0)
    bench.data(0x06, 0x22)
    bench.clock.now += 4
    answer = bench.data(0x06, 0x25)
    assert answer[0] & 0x40
    assert int.from_bytes(answer[6:8], "little") == 60
    bench.data(0x06, 0x24, 0x04, 0x00, 0, 0, 100, 0)
    assert not bench.data(0x06, 0x25)[0] & 0x40


def test_lan_and_sol_parameters(bench: Bench) -> None:
    assert bench.data(0x0C, 0x02, 1, 3, 0, 0) == bytes([0x11, 127, 0, 0, 1])
    assert bench.data(0x0C, 0x22, 1, 6, 0, 0) == bytes([0x11, 0x0A])
    assert bench.ask(0x0C, 0x02, 7, 3, 0, 0).code == Code.INVALID_FIELD
    assert bench.ask(0x0C, 0x01, 1, 3, 10, 0, 0, 1).code == 0x82
