"""A BMC's settings as the doctor reads them, from BMCs that answer by a script."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bringup.base.errors import (
    AuthenticationError,
    BmcTimeoutError,
    CipherError,
    LabError,
    OverrideError,
)
from bringup.ipmi.client import Answer, IpmiClient
from bringup.ipmi.login import BmcAddress
from bringup.jobs.doctor.bmc import Bmc, bmc_checks
from bringup.jobs.doctor.check import Result, examine
from bringup.lab.secret import Secret
from bringup.power.base import BootOverride

NOW = 1_800_000_000


class Session:
    suite = 17


class Settings(IpmiClient):
    """A BMC with these settings; `refuses` is what a login raises."""

    def __init__(
        self,
        *,
        enabled: int = 1,
        rate: int = 10,
        clock: int = NOW,
        code: int = 0,
        refuses: LabError | None = None,
    ) -> None:
        super().__init__(BmcAddress("10.0.0.17", 623, "ADMIN", Secret("s3cret")))
        self._answers = {
            (0x0C, 0x22, 1): bytes([0x11, enabled]),
            (0x0C, 0x22, 6): bytes([0x11, rate]),
            (0x0A, 0x48, None): clock.to_bytes(4, "little"),
        }
        self._refuses, self._code = refuses, code
        self.logins = 0

    def login(self, timeout_s: float = 1.0) -> Session:  # type: ignore[override]
        self.logins += 1
        if self._refuses is not None:
            raise self._refuses
        return Session()

    def exchange(self, netfn: int, command: int, data: bytes, what: str, **_more: object) -> Answer:  # type: ignore[override]
        return Answer(self._code, self._answers[netfn, command, data[1] if data else None])


class Held:
    """An override that tells what it holds, or does not."""

    def __init__(self, error: LabError | None = None) -> None:
        self._error = error

    def describe(self) -> str:
        return "a BMC"

    def set(self, override: BootOverride) -> bool:
        raise AssertionError("the doctor changes nothing")

    def clear(self) -> None:
        raise AssertionError("the doctor changes nothing")

    def read(self) -> BootOverride:
        if self._error is not None:
            raise self._error
        return BootOverride("none")


def bmc(client: IpmiClient) -> Bmc:
    return Bmc("e300-1", client, Held(), 115200, Path("/home/me/my secret"), lambda: NOW)


def found(looked: Bmc) -> dict[str, Result]:
    return {each.id.removeprefix("bmc-"): each.result for each in examine([bmc_checks(looked)])}


LOGIN = "ipmitool -I lanplus -H 10.0.0.17 -p 623 -U ADMIN -f '/home/me/my secret'"


def test_as_it_should_be() -> None:
    results = found(bmc(Settings()))
    assert {each.status for each in results.values()} == {"pass"}
    assert "17" in results["cipher"].message and "115200" in results["sol-baud"].message


def test_sol_off_and_too_slow() -> None:
    results = found(bmc(Settings(enabled=0, rate=6)))
    assert results["sol"].fix == f"{LOGIN} sol set enabled true"
    assert results["sol-baud"].fix == (
        f"{LOGIN} sol set non-volatile-bit-rate 115.2 && {LOGIN} sol set volatile-bit-rate 115.2"
    )
    assert "9600" in results["sol-baud"].message


def test_a_rate_left_to_the_serial_port_is_not_wrong() -> None:
    assert found(bmc(Settings(rate=0)))["sol-baud"].status == "pass"


def test_a_bmc_that_does_not_tell_its_settings_is_not_called_wrong() -> None:
    results = found(bmc(Settings(code=0xC1)))
    for name in ("sol", "sol-baud", "clock"):
        assert results[name].status == "skip" and "does not know this command" in results[name].message
    assert results["override"].status == "pass"


def test_where_nobody_says_the_speed_it_is_not_judged() -> None:
    assert found(replace(bmc(Settings(rate=6)), baud=None))["sol-baud"].status == "skip"


@pytest.mark.parametrize("off_s", [0, 100, -100, 3600, -7200 + 30, 5 * 3600 + 1800])
def test_a_clock_in_another_zone_is_right(off_s: int) -> None:
    assert found(bmc(Settings(clock=NOW + off_s)))["clock"].status == "pass"


@pytest.mark.parametrize(("off_s", "told"), [(400, "400 s ahead"), (-86400 * 9, "9 days behind")])
def test_a_clock_that_is_off(off_s: int, told: str) -> None:
    wrong = found(bmc(Settings(clock=NOW + off_s)))["clock"]
    assert wrong.status == "fail" and told.split()[-1] in wrong.message
    assert wrong.fix == f"{LOGIN} sel time set now"


def test_a_clock_that_nobody_set() -> None:
    assert "never set" in found(bmc(Settings(clock=77)))["clock"].message


def test_an_override_that_cannot_be_read_names_the_way_round() -> None:
    wrong = found(replace(bmc(Settings()), override=Held(OverrideError("it does not tell"))))["override"]
    assert wrong.fix == "bringup boot e300-1 --override unverified"
    assert found(replace(bmc(Settings()), override=None))["override"].status == "skip"


@pytest.mark.parametrize(
    ("error", "failing", "passing"),
    [
        (BmcTimeoutError("no answer", hint="check the cable"), "reach", set()),
        (AuthenticationError("refused", hint="check the user"), "login", {"reach"}),
        (CipherError("accepts neither", hint="enable 17"), "cipher", {"reach"}),
    ],
)
def test_one_thing_is_wrong_and_the_rest_is_not_known(
    error: LabError, failing: str, passing: set[str]
) -> None:
    client = Settings(refuses=error)
    results = found(bmc(client))
    assert {name for name, each in results.items() if each.status == "fail"} == {failing}
    assert {name for name, each in results.items() if each.status == "pass"} == passing
    assert client.logins == 1  # a BMC that is silent is not asked again for each line
    assert results[failing].fix
