"""A board's BMC: reached, logged in to, and set as the board's profile needs it."""

from __future__ import annotations

import functools
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bringup.base.errors import (
    AuthenticationError,
    BmcBusyError,
    BmcTimeoutError,
    CipherError,
    LabError,
    LoginUnfinishedError,
    NoSessionError,
)
from bringup.ipmi.client import IpmiClient
from bringup.ipmi.settings import bmc_time_s, sol_settings
from bringup.jobs.doctor.check import Check, Group, Result, failed, failed_by, passed, skipped
from bringup.power.base import Override

# A clock may be some time off and keep any zone; zones differ by quarters of an hour, up to 14 hours.
_CLOCK_OFF_S, _ZONE_STEP_S, _ZONE_MAX_S = 120, 900, 14 * 3600
_LIMIT_S = 40.0
# What a login fails by where the BMC can be reached.
_ANSWERS = (AuthenticationError, CipherError, BmcBusyError, LoginUnfinishedError, NoSessionError)
_SUITES = {17: "SHA-256", 3: "SHA-1"}


@dataclass(frozen=True, slots=True)
class Bmc:
    """A BMC to look at: a client, the boot override, what the profile says, and how ipmitool logs in.

    `baud` None: the profile does not say how fast the console is, or it is another line than SOL.
    """

    board: str
    client: IpmiClient
    override: Override | None
    baud: int | None
    password_file: Path | None = None
    now: Callable[[], float] = time.time

    def ipmitool(self, words: str) -> str:
        """Return the ipmitool command that does `words` on this BMC, without a password in it."""
        bmc = self.client.bmc
        login = "-a" if self.password_file is None else f"-f {shlex.quote(str(self.password_file))}"
        return (
            f"ipmitool -I lanplus -H {shlex.quote(bmc.address)} -p {bmc.port} -U {shlex.quote(bmc.user)} "
            f"{login} {words}"
        )


def bmc_checks(bmc: Bmc) -> Group:
    """Return the checks of a BMC; the first one that needs a login makes it, the others go on with that."""
    login = functools.cache(functools.partial(_login, bmc.client))
    checks: list[Check] = [
        Check("bmc-reach", "reachable", lambda: _reach(bmc, login())),
        Check("bmc-login", "login", lambda: _logged_in(bmc, login())),
        Check("bmc-cipher", "cipher", lambda: _cipher(bmc, login())),
    ]
    for name, title, run in (
        ("bmc-sol", "SOL", _sol),
        ("bmc-sol-baud", "SOL baud", _sol_baud),
        ("bmc-override", "boot override", _override),
        ("bmc-clock", "clock", _clock),
    ):
        checks.append(Check(name, title, functools.partial(_after_login, run, bmc, login)))
    return Group("BMC", checks, _LIMIT_S)


def _login(client: IpmiClient) -> LabError | None:
    """Log in; return why not."""
    try:
        client.login()
    except LabError as error:
        return error
    return None


def _reach(bmc: Bmc, error: LabError | None) -> Result:
    address = bmc.client.bmc
    if error is None or isinstance(error, _ANSWERS):
        return passed(f"{address} answers")
    if isinstance(error, BmcTimeoutError):
        return failed(f"{error.message}: {error.hint}", f"ping -c 3 {shlex.quote(address.address)}")
    return failed_by(error)


def _logged_in(bmc: Bmc, error: LabError | None) -> Result:
    if error is None:
        return passed(f"user {bmc.client.bmc.user} is let in")
    if isinstance(error, _ANSWERS) and not isinstance(error, CipherError):
        return failed_by(error)
    return skipped(
        "not tried: see above" if not isinstance(error, CipherError) else "not tried: no cipher suite"
    )


def _cipher(bmc: Bmc, error: LabError | None) -> Result:
    if isinstance(error, CipherError):
        return failed(error.message, bmc.ipmitool("lan print 1") + "  # enable suite 17 or 3 in its web page")
    if error is not None:
        return skipped("not known without a login")
    suite = bmc.client.login().suite
    return passed(f"cipher suite {suite} ({_SUITES.get(suite, 'safe')})")


def _after_login(run: Callable[[Bmc], Result], bmc: Bmc, login: Callable[[], LabError | None]) -> Result:
    if login() is not None:
        return skipped("not known without a login")
    try:
        return run(bmc)
    except LabError as error:  # a BMC that does not tell may be set as it should be
        return skipped(f"not known: {error.message}", error.hint)


def _sol(bmc: Bmc) -> Result:
    if sol_settings(bmc.client).enabled:
        return passed("Serial-over-LAN is enabled")
    return failed("Serial-over-LAN is disabled", bmc.ipmitool("sol set enabled true"))


def _sol_baud(bmc: Bmc) -> Result:
    have = sol_settings(bmc.client).baud
    if bmc.baud is None:
        return skipped(f"the console is not SOL, or no profile says its speed; SOL has {have or 'no'} baud")
    if have is None:
        return passed(f"SOL takes the speed of the board's serial port; the profile says {bmc.baud} baud")
    if have == bmc.baud:
        return passed(f"SOL speaks {have} baud, as the profile says")
    rate = f"{bmc.baud / 1000:g}"
    commands = (bmc.ipmitool(f"sol set {which}-bit-rate {rate}") for which in ("non-volatile", "volatile"))
    return failed(
        f"SOL speaks {have} baud and the board's serial port {bmc.baud}: the console is unreadable",
        " && ".join(commands),
    )


def _override(bmc: Bmc) -> Result:
    if bmc.override is None:
        return skipped("this board's power driver has no boot override")
    try:
        held = bmc.override.read()
    except LabError as error:
        return failed_by(error, f"bringup boot {bmc.board} --override unverified")
    return passed(f"the boot override can be read: {held}")


def _clock(bmc: Bmc) -> Result:
    mend = bmc.ipmitool("sel time set now")
    theirs = bmc_time_s(bmc.client)
    if theirs is None:
        return failed("the BMC's clock was never set: its event log has no times", mend)
    off_s = theirs - bmc.now()
    zone_s = round(off_s / _ZONE_STEP_S) * _ZONE_STEP_S
    if abs(zone_s) > _ZONE_MAX_S or abs(off_s - zone_s) > _CLOCK_OFF_S:
        return failed(f"the BMC's clock is {_long(off_s)} {'ahead' if off_s > 0 else 'behind'}", mend)
    return passed(
        "the BMC's clock is right" + (f", {zone_s / 3600:+g} h of this host's UTC" if zone_s else "")
    )


def _long(seconds: float) -> str:
    seconds = abs(seconds)
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
