"""A BMC's event logs by Redfish: what was added since power-on and explains a fault, whoever keeps it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.lab.secret import Secret
from bringup.power.base import BoardLog
from bringup.power.drivers.redfish import ComputerSystem
from bringup.power.open import open_drivers
from bringup.power.redfish import RedfishService
from bringup.power.redfish_log import RedfishLog, is_after, meaning, time_in
from tests.doubles.fake_redfish import LOGS, MANAGER_LOGS, PASSWORD, USER, FakeRedfish, serving
from tests.unit.power.drivers.test_redfish import board_of

pytestmark = pytest.mark.usefixtures("home")

BEFORE, AFTER, LATER = "2026-11-28T09:59:59Z", "2026-11-28T10:00:07Z", "2026-11-28T10:00:09+00:00"
WATCHDOG = {"Message": "Watchdog: Timer expired, hard reset", "SensorType": "Watchdog", "Severity": "OK"}
ECC = {"Message": "Uncorrectable ECC, DIMMA1", "SensorType": "Memory", "Severity": "Critical"}
FAN = {"Message": "Fan 3: lower critical", "SensorType": "Fan", "Severity": "Critical"}


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeRedfish]:
    with serving(FakeRedfish(), tmp_path) as fake:
        yield fake


@pytest.fixture
def log(fake: FakeRedfish) -> RedfishLog:
    # With all the time that a loaded machine needs.
    service = RedfishService("127.0.0.1", fake.port, USER, Secret(PASSWORD), timeout_s=60)
    return RedfishLog(service, ComputerSystem(service).where, whole_s=120)


def test_a_board_by_redfish_has_a_log(tmp_path: Path, fake: FakeRedfish) -> None:
    assert open_drivers(board_of(tmp_path, fake)).log is not None


def kinds(log: BoardLog) -> list[str] | None:
    told = log.since_mark()
    return None if told is None else [each.kind for each in told]


def passed(sensor: str, code: str, severity: str = "Critical") -> dict[str, Any]:
    return {"SensorType": sensor, "EntryCode": code, "Severity": severity}


def entry(created: str | None, body: dict[str, Any]) -> dict[str, Any]:
    return {**body, **({} if created is None else {"Created": created})}


@pytest.mark.parametrize(
    ("path", "pages", "bare"),
    [(f"{LOGS}/Log1", 100, False), (f"{LOGS}/EventLog", 1, False), (f"{MANAGER_LOGS}/Sel", 100, True)],
)
def test_what_was_added_since_power_on_is_told(
    log: BoardLog, fake: FakeRedfish, path: str, pages: int, bare: bool
) -> None:
    fake.pages, fake.bare = pages, bare
    fake.logs[path] = [entry(BEFORE, ECC)]
    log.mark()
    assert kinds(log) == []
    fake.logs[path] += [entry(AFTER, WATCHDOG), entry(LATER, FAN)]
    assert kinds(log) == ["watchdog"]
    fake.logs[path].append(entry(LATER, ECC))
    assert kinds(log) == ["watchdog", "memory"]
    # The youngest first, as some BMCs have it.
    fake.logs[path].reverse()
    assert kinds(log) == ["watchdog", "memory"]


def test_several_logs_are_one_story_and_nothing_is_told_twice(log: BoardLog, fake: FakeRedfish) -> None:
    log.mark()
    fake.logs[f"{MANAGER_LOGS}/Log1"] = [entry(LATER, ECC), entry(LATER, ECC)]
    fake.logs[f"{LOGS}/Log1"] = [entry(AFTER, WATCHDOG)]
    assert kinds(log) == ["watchdog", "memory"]


@pytest.mark.parametrize("clock", [None, "", "yesterday"])
def test_without_a_clock_of_the_bmc_nothing_is_known(
    log: BoardLog, fake: FakeRedfish, clock: str | None
) -> None:
    fake.bmc_time = clock
    fake.logs[f"{LOGS}/Log1"] = [entry(LATER, ECC)]
    assert log.since_mark() is None
    log.mark()
    assert log.since_mark() is None


def test_without_a_log_nothing_is_known(log: BoardLog, fake: FakeRedfish) -> None:
    log.mark()
    assert log.since_mark() is None


def test_a_log_that_is_refused_is_not_known_and_no_error(log: BoardLog, fake: FakeRedfish) -> None:
    fake.logs[f"{LOGS}/Log1"] = [entry(LATER, ECC)]
    fake.refuse["GET"] = [(503, "busy")]
    log.mark()
    assert log.since_mark() is None
    log.mark()
    fake.refuse["GET"] = [(403, "no licence")]
    assert log.since_mark() is None
    assert kinds(log) == ["memory"]


@pytest.mark.parametrize(("whole_s", "told"), [(0.0, None), (120.0, ["memory"])])
def test_a_log_that_takes_too_long_is_not_known(
    fake: FakeRedfish, whole_s: float, told: list[str] | None
) -> None:
    service = RedfishService("127.0.0.1", fake.port, USER, Secret(PASSWORD), timeout_s=60)
    log = RedfishLog(service, ComputerSystem(service).where, whole_s=whole_s)
    fake.logs[f"{LOGS}/Log1"] = [entry(LATER, ECC)]
    log.mark()
    assert kinds(log) == told


def test_entries_that_are_not_dated_are_not_of_this_boot(log: BoardLog, fake: FakeRedfish) -> None:
    log.mark()
    fake.logs[f"{LOGS}/Log1"] = [entry(created, ECC) for created in (None, "", "long ago", BEFORE)]
    assert kinds(log) == []


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"Message": "Watchdog2 Power Cycle", "Severity": "OK"}, "watchdog"),
        ({"MessageId": "OpenBMC.0.1.WatchdogReset", "Severity": "OK"}, "watchdog"),
        ({"SensorType": "Watchdog", "Message": "Timer expired, status only", "Severity": "Warning"}, None),
        ({"SensorType": "Watchdog", "Message": "Hard reset", "Severity": "OK"}, "watchdog"),
        ({"Message": "CPU1 Thermal Trip", "Severity": "Critical"}, "thermal"),
        (passed("Temperature", "Upper Critical - going high"), "thermal"),
        (passed("Temperature", "Upper Critical - going low", "Warning"), None),
        (passed("Temperature", "Upper Non-critical - going high", "Warning"), None),
        (passed("Voltage", "Lower Critical - going low"), "power"),
        (passed("Voltage", "Lower Critical - going high"), None),
        ({"SensorType": "Memory", "EntryCode": "Deassert", "Message": "x", "Severity": "Critical"}, None),
        ({"Message": "Power Supply 2: AC lost", "Severity": "Warning"}, "power"),
        ({"Message": "Processor 1 IERR", "Severity": "Critical"}, "processor"),
        ({"Message": "PCIe Fatal Error at bus 3", "Severity": "Critical"}, "bus"),
        ({"Message": "Power button pressed", "Severity": "OK"}, "button"),
        ({"Message": "Correctable ECC, DIMMA1", "SensorType": "Memory", "Severity": "OK"}, None),
        ({"Message": "User ADMIN logged in", "Severity": "OK"}, None),
        ({"Message": "Drive 1 failed", "SensorType": "Drive Slot/Bay", "Severity": "Critical"}, None),
        ({}, None),
    ],
)
def test_what_an_entry_says_of_a_fault(body: dict[str, Any], kind: str | None) -> None:
    told = meaning(body)
    assert (None if told is None else told.kind) == kind
    assert told is None or told.text.startswith(f"{kind}: ")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda each: st.lists(each, max_size=3)
)


@given(
    st.dictionaries(st.sampled_from(["Message", "MessageId", "SensorType", "EntryCode", "Severity"]), JSON)
)
def test_an_entry_may_hold_anything(body: dict[str, Any]) -> None:
    told = meaning(body)
    assert told is None or len(told.text) <= 120


@given(st.text() | st.integers() | st.none(), st.sampled_from([BEFORE, AFTER, "2026-11-28T10:00:07"]))
def test_a_time_may_be_anything(text: object, marked: str) -> None:
    created, mark = time_in(text), time_in(marked)
    assert mark is not None
    assert created is None or is_after(created, mark) in (True, False)


def test_where_one_time_names_no_zone_both_are_of_the_same_clock() -> None:
    naive, aware = time_in("2026-11-28T11:00:08"), time_in("2026-11-28T11:00:07+01:00")
    assert naive is not None and aware is not None
    assert is_after(naive, aware) and not is_after(aware, naive)
