"""The IPMI client, power and SOL against two independent BMCs, as they behave and as they misbehave."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest

from bringup.base.clock import Clock
from bringup.base.errors import (
    AuthenticationError,
    BmcBusyError,
    BmcTimeoutError,
    CipherError,
    ConsoleHeldError,
    ConsoleLostError,
    LabError,
    NoSessionError,
    OverrideError,
)
from bringup.base.events import Event
from bringup.console.base import ConsoleGapError
from bringup.console.reconnect import ReconnectingConsole
from bringup.console.sol.console import SolConsole
from bringup.ipmi.client import Answer, IpmiClient
from bringup.ipmi.login import BmcAddress
from bringup.ipmi.pacing import Kind
from bringup.lab.secret import Secret
from bringup.power.actions import Pace, cycle, ensure_off, ensure_on, reset, soft_off
from bringup.power.base import BootOverride, PowerState
from bringup.power.boot_flags import BootQuirks
from bringup.power.drivers.ipmi import ChassisCommands, IpmiLog, IpmiOverride, IpmiPower
from bringup.twin.bmc.sel import event_record
from tests.doubles.fake_bmc import burst
from tests.doubles.servers import DeafToSuite, FakeBmc, NoCipher, RefusesName, Server, ipmi_sim, virtual_bmc
from tests.twin.helpers import PATIENCE_S, Cli, wait_for

pytestmark = pytest.mark.slow

PACE = Pace(poll_s=0.05, off_pause_s=0.2, change_timeout_s=PATIENCE_S)


class TimelessClock(Clock):
    """By which every answer comes at once: a double on a busy machine is no BMC that labours."""

    def now_s(self) -> float:
        return 0.0


def address(server: Server, **changes: object) -> BmcAddress:
    values = {"address": server.address, "port": server.port, "user": server.user}
    return BmcAddress(**{**values, "password": Secret(server.password), **changes})


def ignore(_event: Event) -> None:
    return


@contextlib.contextmanager
def power_of(server: Server) -> Iterator[IpmiPower]:
    with contextlib.closing(IpmiPower(chassis_of(server))) as power:
        yield power


def chassis_of(server: Server) -> ChassisCommands:
    return ChassisCommands(IpmiClient(address(server)))


@contextlib.contextmanager
def sol_of(server: Server, **options: object) -> Iterator[SolConsole]:
    console = SolConsole(IpmiClient(address(server)), **options)
    console.open(PATIENCE_S)
    try:
        yield console
    finally:
        console.close()


@pytest.fixture(params=["virtual_bmc", "ipmi_sim"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """One after the other, both BMCs."""
    with virtual_bmc() if request.param == "virtual_bmc" else ipmi_sim(tmp_path) as running:
        yield running


def chassis_status(bmc: BmcAddress) -> bytes:
    with IpmiClient(bmc) as client:
        return client.request(0x00, 0x01, b"", "chassis power status")


def seconds_of(call: Callable[[], object]) -> float:
    began = time.monotonic()
    call()
    return time.monotonic() - began


# Power.


def test_on_off_reset_cycle_soft(server: Server) -> None:
    with power_of(server) as power:
        assert power.state() is PowerState.OFF
        assert ensure_on(power, ignore, PACE).changed
        assert not ensure_on(power, ignore, PACE).changed
        assert reset(power, ignore, PACE).after is PowerState.ON
        assert cycle(power, ignore, PACE).after is PowerState.ON
        assert soft_off(power, ignore, PACE).after is PowerState.OFF
        assert not ensure_off(power, ignore, PACE).changed
        with pytest.raises(LabError, match="a reset needs it on"):
            reset(power, ignore, PACE)


def test_what_the_board_saw() -> None:
    with virtual_bmc() as bmc, power_of(bmc) as power:
        ensure_on(power, ignore, PACE)
        ensure_on(power, ignore, PACE)
        cycle(power, ignore, PACE)
        assert bmc.actions() == ["power_on", "power_off", "power_on"]


def test_a_board_that_ignores_its_bmc_is_told_from_one_that_obeys() -> None:
    with virtual_bmc(ignore_power=True) as bmc, power_of(bmc) as power:
        with pytest.raises(LabError, match="accepted the command and the board is still off after 3 s"):
            ensure_on(power, ignore, replace(PACE, change_timeout_s=3.0))
        assert bmc.actions() == ["power_on"]


def test_a_busy_bmc_is_asked_again_and_not_for_ever() -> None:
    with virtual_bmc(busy=3) as bmc, power_of(bmc) as power:
        assert power.state() is PowerState.OFF
    with virtual_bmc(busy=-1) as bmc, power_of(bmc) as power, pytest.raises(BmcBusyError, match="is busy"):
        power.state()


def test_commands_keep_their_distance() -> None:
    with virtual_bmc() as bmc, IpmiClient(address(bmc), spacing_s=0.4) as client:
        client.request(0x00, 0x01, b"", "status", kind=Kind.SWITCH)
        assert seconds_of(lambda: client.request(0x00, 0x01, b"", "status")) > 0.3


@pytest.mark.parametrize("code", ["c0", "d4", "d2", "ff"])
@pytest.mark.parametrize("times", [1, 3])
def test_a_privilege_that_a_bmc_cannot_grant_just_now_is_asked_for_again(code: str, times: int) -> None:
    with virtual_bmc(answers=f"6.3b.{code}.{times}") as bmc, IpmiClient(address(bmc)) as client:
        assert client.request(0x00, 0x01, b"", "status")
        assert client.login().privlevel == 4


@pytest.mark.parametrize("code", ["c0", "d2", "ff", "c3"])
def test_a_bmc_that_is_busy_before_the_login_is_asked_again(code: str) -> None:
    with virtual_bmc(answers=f"6.38.{code}.2") as bmc:
        assert chassis_status(address(bmc))


def test_a_bmc_that_stays_busy_before_the_login_is_no_matter_of_the_password() -> None:
    with virtual_bmc(answers="6.38.c0.ff") as bmc, pytest.raises(LabError) as caught:
        chassis_status(address(bmc))
    assert "password" not in f"{caught.value.message} {caught.value.hint}"


def test_a_privilege_that_is_never_granted_is_no_matter_of_the_password() -> None:
    with virtual_bmc(answers="6.3b.d4.ff") as bmc, pytest.raises(AuthenticationError) as caught:
        chassis_status(address(bmc))
    assert "does not grant user admin the privilege" in caught.value.message
    assert "password" not in str(caught.value.hint)
    with virtual_bmc(answers="6.3b.c0.ff") as bmc, pytest.raises(BmcBusyError) as busy:
        chassis_status(address(bmc))
    assert "accepted the login of user admin and began no session" in busy.value.message
    assert "password" not in f"{busy.value.message} {busy.value.hint}"


@pytest.mark.parametrize("code", ["c0", "d5", "ff", "d3"])
def test_a_console_that_a_bmc_cannot_give_just_now_is_asked_for_again(code: str) -> None:
    with virtual_bmc(answers=f"6.48.{code}.2") as bmc, sol_of(bmc) as console:
        console.write(b"hello")
        assert collect(console, 5) == b"hello"


def test_a_console_that_is_active_and_nobodys_is_freed_or_named() -> None:
    with virtual_bmc(answers="6.48.80.1") as bmc, sol_of(bmc) as console:
        console.write(b"hello")
        assert collect(console, 5) == b"hello"
    with (
        virtual_bmc(answers="6.48.80.ff") as bmc,
        pytest.raises(LabError, match="nobody has it") as caught,
    ):
        SolConsole(IpmiClient(address(bmc))).open(PATIENCE_S)
    assert type(caught.value) is LabError  # no boot goes on without a console that will never come
    assert "mc reset cold" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("override", "raw"),
    [
        (BootOverride("network"), "8004000000"),
        (BootOverride("network", persistent=True), "c004000000"),
        (BootOverride("network", persistent=True, uefi=True), "e004000000"),
        (BootOverride("disk", uefi=True), "a024000000"),
        (BootOverride("setup", uefi=True), "a018000000"),
    ],
)
def test_an_override_reaches_the_board_bit_by_bit(override: BootOverride, raw: str) -> None:
    events: list[Event] = []
    with virtual_bmc() as bmc, contextlib.closing(chassis_of(bmc)) as chassis:
        boots = IpmiOverride(chassis, events.append, BootQuirks(uefi_disk_selector=0x24))
        boots.set(override)
        assert boots.read() == override
        ensure_on(IpmiPower(chassis), ignore, PACE)
        assert bmc.wait_for("post")["post"]["raw"] == raw
        left = override if override.persistent else BootOverride("none")
        assert boots.read() == left
        boots.set(BootOverride("none"))
        assert boots.read().device == "none"
    assert [event.kind for event in events] == ["override.set", "override.read"] * 2
    assert "60 s timer off" in events[1].text


def test_a_bmc_that_never_marks_its_flags_valid_takes_an_override_for_bios_alone(tmp_path: Path) -> None:
    # OpenIPMI's simulator never returns the valid bit, nor the EFI bit.
    events: list[Event] = []
    with ipmi_sim(tmp_path) as sim, contextlib.closing(chassis_of(sim)) as chassis:
        boots = IpmiOverride(chassis, events.append)
        assert boots.set(BootOverride("network")) is False
        assert events[-1].kind == "override.unsure"
        assert "set boot pxe" in sim.calls()
        boots.clear()
        assert [call for call in sim.calls() if call.startswith("set")][-1] == "set boot none"
        with pytest.raises(OverrideError, match="did not keep the boot override: asked for network once"):
            boots.set(BootOverride("network", uefi=True))


# Logging in.


def test_a_wrong_password_is_named_at_once(server: Server) -> None:
    with pytest.raises(AuthenticationError, match="refused the password of user admin") as caught:
        chassis_status(address(server, password=Secret("wrong-Pw_1")))
    assert "wrong-Pw_1" not in f"{caught.value} {caught.value.hint}"
    assert chassis_status(address(server))


def test_an_unknown_user_is_named_at_once(server: Server) -> None:
    with pytest.raises(AuthenticationError, match="does not know the user nobody"):
        chassis_status(address(server, user="nobody"))


def test_credentials_that_ipmi_cannot_carry_are_not_sent() -> None:
    nowhere = BmcAddress("127.0.0.1", 9, "u" * 17, Secret("x"))
    with pytest.raises(AuthenticationError, match="longer than IPMI's 16 bytes"):
        chassis_status(nowhere)
    with pytest.raises(AuthenticationError, match="longer than IPMI's 20 bytes"):
        chassis_status(BmcAddress("127.0.0.1", 9, "u", Secret("x" * 21)))


@pytest.mark.parametrize("suites", [(3,), (17,), (3, 17)])
def test_both_safe_suites(suites: tuple[int, ...]) -> None:
    with virtual_bmc(suites=suites) as bmc:
        assert chassis_status(address(bmc))


@pytest.mark.parametrize(("offered", "order", "taken"), [
    ((3, 17), (17, 3), 17),
    ((3, 17), (3, 17), 3),
    ((3,), (17, 3), 3),
    ((17,), (3, 17), 17),
])  # fmt: skip
def test_suites_are_tried_in_the_boards_order(
    offered: tuple[int, ...], order: tuple[int, ...], taken: int
) -> None:
    with virtual_bmc(suites=offered) as bmc, IpmiClient(address(bmc, suites=order)) as client:
        assert client.login().suite == taken


def test_a_simulator_that_refuses_suite_17_is_spoken_to_by_suite_3(tmp_path: Path) -> None:
    with ipmi_sim(tmp_path) as bmc:
        with IpmiClient(address(bmc)) as client:
            assert client.login().suite == 3
        with pytest.raises(CipherError, match="does not accept cipher suite 17, the only one"):
            chassis_status(address(bmc, suites=(17,)))


@pytest.mark.parametrize("payload_type", [DeafToSuite.OPEN, DeafToSuite.RAKP1])
def test_a_bmc_that_is_silent_to_a_suite_is_asked_by_the_next_and_later_logins_do_not_wait(
    payload_type: int,
) -> None:
    with virtual_bmc() as bmc:
        deaf = DeafToSuite(bmc, payload_type)
        try:
            with IpmiClient(address(deaf.server)) as client:
                assert client.login().suite == 3
                assert deaf.dropped == 2
                client.close()
                assert client.login().suite == 3
                assert deaf.dropped == 2
        finally:
            deaf.close()


def test_a_lesser_user_gets_what_it_may_do() -> None:
    with virtual_bmc(privilege="operator") as bmc:
        assert chassis_status(address(bmc))
    with virtual_bmc(privilege="user") as bmc, pytest.raises(AuthenticationError, match="privilege"):
        chassis_status(address(bmc))


@pytest.mark.parametrize("status", [0x09, 0x0A, 0x0D])
def test_a_user_refused_as_administrator_is_tried_as_operator(status: int) -> None:
    with virtual_bmc() as bmc, contextlib.closing(RefusesName(bmc, status, 1)) as refuses:
        assert chassis_status(address(refuses.server))
        assert refuses.logins == 2


@pytest.mark.parametrize("status", [0x02, 0x08])
def test_a_bmc_that_forgot_a_session_while_it_began_is_asked_anew(status: int) -> None:
    with virtual_bmc() as bmc, contextlib.closing(RefusesName(bmc, status, 1)) as refuses:
        assert chassis_status(address(refuses.server))


@pytest.mark.parametrize(("status", "kind", "words"), [
    (0x02, BmcBusyError, "forgets sessions while they begin"),
    (0x08, BmcBusyError, "forgets sessions while they begin"),
    (0x0A, AuthenticationError, "privilege"),
    (0x0D, AuthenticationError, "does not know the user admin, or does not let it in"),
    (0x0E, AuthenticationError, "refused the login of user admin: Unauthorized GUID"),
    (0x12, AuthenticationError, "refused the login of user admin: Illegal"),
    (0x7F, NoSessionError, "refused the login of user admin: Unrecognized RMCP code 127"),
])  # fmt: skip
def test_a_login_that_is_refused_names_the_reason(status: int, kind: type[LabError], words: str) -> None:
    with (
        virtual_bmc() as bmc,
        contextlib.closing(RefusesName(bmc, status)) as refuses,
        pytest.raises(kind, match=words),
    ):
        chassis_status(address(refuses.server))


def test_a_bmc_that_takes_long_over_every_step_of_a_login_is_logged_in_to() -> None:
    with virtual_bmc() as bmc, contextlib.closing(RefusesName(bmc, 0, 0, late_s=1.3)) as late:
        assert chassis_status(address(late.server))


def test_a_bmc_with_a_key_of_its_own_is_told_from_a_wrong_password(tmp_path: Path) -> None:
    with ipmi_sim(tmp_path, bmc_key="hidden") as bmc:
        with pytest.raises(AuthenticationError, match=r"accepts the password of user \w+ and wants .*K_G"):
            chassis_status(address(bmc))
        with pytest.raises(AuthenticationError, match="refused the password"):
            chassis_status(address(bmc, password=Secret("wrong")))


def test_no_common_cipher_suite_is_named() -> None:
    bmc = NoCipher()
    try:
        with pytest.raises(CipherError, match="neither cipher suite 17 nor 3"):
            chassis_status(BmcAddress("127.0.0.1", bmc.port, "admin", Secret("x")))
    finally:
        bmc.close()


def test_a_closed_port_is_no_answer() -> None:
    # An address of this host that no test listens at.
    power = IpmiPower(ChassisCommands(IpmiClient(BmcAddress("127.62.3.1", 623, "admin", Secret("x")))))
    with pytest.raises(BmcTimeoutError, match=r"no answer from the BMC at 127\.62\.3\.1"):
        power.state()


def test_a_name_that_does_not_resolve_is_named() -> None:
    with pytest.raises(LabError, match=r"cannot be resolved|not resolved within"):
        chassis_status(BmcAddress("no-such-bmc.invalid", 623, "admin", Secret("x")))


def asked_ahead(client: IpmiClient) -> Future[Answer | None]:
    return client.ask_ahead(0x00, 0x01, b"", lambda answer: answer)


def test_bmcs_are_asked_together_and_each_is_logged_into_once(server: Server) -> None:
    clients = [
        IpmiClient(address(server), clock=TimelessClock()) for _ in range(3)
    ]  # a BMC has four sessions
    for _ in range(2):  # the second time in the session of the first
        answers = [asked_ahead(client).result(PATIENCE_S) for client in clients]
        assert [answer and (answer.code, answer.data[0] & 1) for answer in answers] == [(0, 0)] * 3
    assert clients[0].request(0x00, 0x01, b"", "chassis power status")[0] & 1 == 0
    for client in clients:
        client.close()
    for _ in range(3):
        assert chassis_status(address(server))


def test_one_that_is_asked_ahead_and_does_not_tell_says_why_when_it_is_waited_for() -> None:
    with virtual_bmc() as bmc:
        client = IpmiClient(address(bmc, password=Secret("not this one")))
        assert asked_ahead(client).result(PATIENCE_S) is None
        with pytest.raises(AuthenticationError, match="refused the password"):
            client.login()
        bmc.have("freeze")
        client = IpmiClient(address(bmc))
        asked = asked_ahead(client)
        with pytest.raises(BmcTimeoutError, match="no answer from the BMC"):
            client.login()
        assert not asked.done() or asked.result() is None
        bmc.have("thaw")
        again = asked_ahead(client).result(PATIENCE_S)
        assert again is not None
        client.close()


def test_a_busy_bmc_that_is_asked_ahead_is_asked_again_in_its_session() -> None:
    with virtual_bmc(busy=1) as bmc, IpmiClient(address(bmc), spacing_s=0.3) as client:
        busy = asked_ahead(client).result(PATIENCE_S)
        assert (busy and busy.code, client.at_ease) == (0xC0, False)
        assert asked_ahead(client).result(PATIENCE_S) is None  # it labours, and is left its time
        assert client.request(0x00, 0x01, b"", "chassis power status")


def test_a_frozen_bmc_is_given_up_and_asked_again_once_it_lives() -> None:
    with virtual_bmc() as bmc, IpmiClient(address(bmc)) as client:
        client.request(0x00, 0x01, b"", "status")
        bmc.have("freeze")
        with pytest.raises(BmcTimeoutError, match="gave no answer to 'status' within 2 s"):
            client.request(0x00, 0x01, b"", "status", timeout_s=2.0)
        bmc.have("thaw")
        assert client.request(0x00, 0x01, b"", "status")


def test_a_session_that_the_bmc_forgot_is_made_anew() -> None:
    with virtual_bmc() as bmc:
        client = IpmiClient(address(bmc))
        client.request(0x00, 0x01, b"", "status")
        bmc.kill()
        with virtual_bmc(port=bmc.port) as again, power_of(again) as power:
            power._client = client  # the one that still has a session with the BMC before
            assert power.state() is PowerState.OFF
        client.close()


def open_sessions(bmc: BmcAddress) -> int:
    with IpmiClient(bmc) as client:
        return client.request(0x06, 0x3D, b"\x00", "session info")[2]


def test_every_session_is_logged_out_even_one_that_nobody_closed() -> None:
    with virtual_bmc() as bmc:
        for _ in range(20):
            chassis_status(address(bmc))
        forgetful = (
            "import sys; from bringup.ipmi.client import *; from bringup.lab.secret import Secret\n"
            f"c = IpmiClient(BmcAddress('127.0.0.1', {bmc.port}, {bmc.user!r}, Secret({bmc.password!r})))\n"
            "c.request(0, 1, b'', 'status')"
        )
        subprocess.run(
            [sys.executable, "-c", forgetful], check=True, timeout=PATIENCE_S, cwd=Path(__file__).parents[2]
        )
        assert wait_for(lambda: open_sessions(address(bmc)) == 1)


def test_many_sessions_at_once_lose_nothing() -> None:
    from pyghmi.ipmi.private import session as library

    with virtual_bmc() as bmc, sol_of(bmc) as console:
        alone_s = median(seconds_of(lambda: chassis_status(address(bmc))) for _ in range(5))
        stop = time.monotonic() + 3.0
        took_s: list[float] = []

        def ask() -> None:
            while time.monotonic() < stop:
                took_s.append(seconds_of(lambda: chassis_status(address(bmc))))

        askers = [threading.Thread(target=ask) for _ in range(3)]
        for asker in askers:
            asker.start()
        received = sent = 0
        while time.monotonic() < stop:
            bmc.tell("burst 20000")
            sent += 20_000
            received += len(collect(console, 20_000))
        for asker in askers:
            asker.join(PATIENCE_S)
        assert received == sent
        # Nobody waits for another's time-out.
        assert median(took_s) < 20 * alone_s + 0.2
        assert len(library.iosockets) < 12  # sockets of ended sessions are used again


# SOL.


def collect(console: SolConsole | ReconnectingConsole, size: int, timeout_s: float = PATIENCE_S) -> bytes:
    """Return what came, at the latest when there are `size` bytes of it: what is missing is missing in it.

    That a busy machine left this process no time, by which text may be lost, is told and proves nothing.
    """
    data, deadline = b"", time.monotonic() + timeout_s
    while len(data) < size and time.monotonic() < deadline:
        with contextlib.suppress(ConsoleGapError):
            data += console.read(0.2)
    return data


def shake_hands(console: SolConsole | ReconnectingConsole) -> None:
    """Type until something comes back: OpenIPMI drops a first packet with its last session's last number."""
    assert wait_for(lambda: (console.write(b"\r"), collect(console, 1, 0.5))[1])
    console.write(b"steady\r")
    seen = b""
    # Whatever was typed before comes back before this.
    while b"steady\r" not in seen:
        more = collect(console, 1)
        assert more, seen
        seen += more


def test_200_kb_each_way(server: Server) -> None:
    with sol_of(server) as console:
        shake_hands(console)
        console.write(b"burst 200000\r")
        assert collect(console, 200_013) == b"burst 200000\r" + burst(200_000)
        typed = burst(200_000)
        writer = threading.Thread(target=console.write, args=(typed,))
        writer.start()
        assert collect(console, 200_000) == typed
        writer.join(PATIENCE_S)


def test_a_break_reaches_the_board() -> None:
    with virtual_bmc() as bmc, sol_of(bmc) as console:
        console.send_break()
        bmc.wait_for("chassis", "send_break")


def test_a_console_in_use_is_refused_and_can_be_stolen(server: Server) -> None:
    with sol_of(server, probe_after_s=0.5) as first:
        shake_hands(first)
        second = SolConsole(IpmiClient(address(server)))
        with pytest.raises(ConsoleHeldError, match="is held by another session") as caught:
            second.open(PATIENCE_S)
        assert "--steal" in caught.value.hint
        first.write(b"mine\r")
        assert b"mine" in collect(first, 5)
        with sol_of(server, steal=True) as thief:
            shake_hands(thief)
            with pytest.raises(ConsoleLostError, match=r"another session took it|the BMC ended"):
                collect(first, 1)


@pytest.mark.skipif(shutil.which("ipmitool") is None, reason="ipmitool is not installed")
def test_ipmitools_console_is_respected_and_can_be_stolen() -> None:
    keyboard, terminal = os.openpty()
    with virtual_bmc() as bmc:
        where = ["-I", "lanplus", "-H", bmc.address, "-p", str(bmc.port), "-U", bmc.user, "-E"]
        holder = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "ipmitool", *where, "sol", "activate"],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env={**os.environ, "IPMI_PASSWORD": bmc.password},
        )
        try:
            seen = b""
            while b"operational" not in seen:
                seen += os.read(keyboard, 4096)
            with pytest.raises(ConsoleHeldError):
                SolConsole(IpmiClient(address(bmc))).open(PATIENCE_S)
            with sol_of(bmc, steal=True) as console:
                console.write(b"hello")
                assert collect(console, 5) == b"hello"
        finally:
            holder.kill()
            holder.wait(30)
            os.close(keyboard)
            os.close(terminal)


def test_sol_and_power_do_not_share_a_fate() -> None:
    with virtual_bmc() as bmc, sol_of(bmc) as console:
        with power_of(bmc) as power:
            ensure_on(power, ignore, PACE)
        console.write(b"still here")
        assert collect(console, 10) == b"still here"


@pytest.mark.long
def test_an_idle_console_stays() -> None:
    with virtual_bmc() as bmc, sol_of(bmc, probe_after_s=5.0) as console:
        assert collect(console, 1, 32.0) == b""
        before_s = time.monotonic()
        console.write(b"awake")
        assert collect(console, 5) == b"awake"
        assert console.alive_s >= before_s


def reconnecting(bmc: FakeBmc) -> tuple[ReconnectingConsole, list[Event]]:
    events: list[Event] = []
    console = ReconnectingConsole(SolConsole(IpmiClient(address(bmc)), probe_after_s=1.0), events.append)
    console.open(PATIENCE_S)
    return console, events


def read_until(console: ReconnectingConsole, events: list[Event], kind: str) -> None:
    """Read until an event of `kind` came."""

    def look() -> bool:
        console.read(0.1)
        return bool(events) and events[-1].kind == kind

    assert wait_for(look), events


def test_it_is_back_once_a_bmc_that_restarted_answers() -> None:
    with virtual_bmc() as bmc:
        console, events = reconnecting(bmc)
        bmc.kill()
        read_until(console, events, "console.lost")
        with virtual_bmc(port=bmc.port) as again:
            read_until(console, events, "console.gap")
            assert events[-1].data["seconds"] > 5.0
            console.write(b"back")
            assert collect(console, 4) == b"back"
            again.tell("say and again")
            assert b"and again" in collect(console, 11)
            console.close()


def test_its_own_stale_session_is_retaken_and_nobody_elses() -> None:
    with virtual_bmc() as bmc:
        console, events = reconnecting(bmc)
        bmc.tell("freeze")
        read_until(console, events, "console.lost")
        bmc.tell("thaw")  # the BMC still counts the old session as the console's owner
        read_until(console, events, "console.gap")
        with sol_of(bmc, steal=True), pytest.raises(ConsoleLostError, match="held by another session"):
            collect(console, 1)
        console.close()


# The command line.

LAB = """
[boards.rack1]
profile = "twin-e300-9d"
macs = ["52:54:00:00:00:01"]
bmc = {{ address = "127.0.0.1", port = {port}, user = "{user}", password = {{ env = "RACK1_PASSWORD" }} }}
"""


@pytest.fixture
def rack(tmp_path: Path) -> Iterator[tuple[Cli, FakeBmc]]:
    """The command line in a lab with one board, whose BMC is the double."""
    folder = tmp_path / "lab"
    folder.mkdir()
    with virtual_bmc() as bmc:
        (folder / "lab.toml").write_text(LAB.format(port=bmc.port, user=bmc.user))
        yield Cli(tmp_path / "home", folder), bmc


def test_power_on_the_command_line(rack: tuple[Cli, FakeBmc]) -> None:
    cli, bmc = rack
    secret = {"RACK1_PASSWORD": bmc.password}
    assert cli("power", "rack1", "status", "--json", **secret).json == {"board": "rack1", "state": "off"}
    on = cli("power", "rack1", "on", "--json", **secret).json
    assert (on["before"], on["state"], on["changed"]) == ("off", "on", True)
    again = cli("power", "rack1", "on", **secret)
    assert again.code == 0 and "already on" in again.out and again.err == ""
    assert cli("power", "rack1", "off", **secret).code == 0
    refused = cli("power", "rack1", "reset", **secret)
    assert refused.code == 10 and "a reset needs it on" in refused.err
    assert bmc.actions() == ["power_on", "power_off"]


def test_another_bmc_at_the_address_is_not_switched_until_it_is_forgotten(rack: tuple[Cli, FakeBmc]) -> None:
    cli, bmc = rack
    secret = {"RACK1_PASSWORD": bmc.password}
    assert "remembered from now on" in cli("power", "rack1", "on", **secret).err
    known = cli("boards", "show", "rack1", "--json").json["board"]["identity"]["bmc"]
    assert known in cli("boards", "show", "rack1").out
    bmc.kill()
    with virtual_bmc(port=bmc.port, on=True) as stranger:
        for action in ("off", "cycle", "reset", "soft"):
            refused = cli("power", "rack1", action, **secret)
            assert refused.code == 10
            assert "is not that of rack1" in refused.err and "boards forget rack1" in refused.err
        assert cli("power", "rack1", "status", **secret).code == 0
        assert stranger.actions() == []
        assert known in cli("boards", "forget", "rack1").out
        assert cli("power", "rack1", "off", **secret).code == 0
        assert stranger.actions() == ["power_off"]


def test_refused_credentials_on_the_command_line(rack: tuple[Cli, FakeBmc]) -> None:
    cli, _ = rack
    outcome = cli("power", "rack1", RACK1_PASSWORD="not-the-password")
    assert outcome.code == 10
    assert "refused the password of user admin" in outcome.err
    assert "not-the-password" not in outcome.err + outcome.out
    missing = cli("power", "rack1")
    assert missing.code == 10 and "RACK1_PASSWORD" in missing.err
    assert cli("power", "rack9").code == 2
    assert cli("power", "rack1", "explode").code == 2


def test_console_on_the_command_line(rack: tuple[Cli, FakeBmc], tmp_path: Path) -> None:
    cli, bmc = rack
    log = tmp_path / "rack1.log"
    secret = {"RACK1_PASSWORD": bmc.password}
    process = cli.popen("console", "rack1", "--listen", "--for", "6", "--log", str(log), **secret)
    while process.poll() is None:
        bmc.tell("say kernel starts")
        time.sleep(0.3)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    assert "kernel starts" in out and "SOL of the BMC at 127.0.0.1" in err
    assert "Z  kernel starts" in log.read_text()
    assert wait_for(lambda: open_sessions(address(bmc)) == 1)
    with sol_of(bmc):
        held = cli("console", "rack1", "--for", "1", **secret)
        assert held.code == 10 and "is held by another session" in held.err and "--steal" in held.err


def test_readers_and_a_writer_share_one_console(rack: tuple[Cli, FakeBmc]) -> None:
    cli, bmc = rack
    secret = {"RACK1_PASSWORD": bmc.password}
    readers = [cli.popen("console", "rack1", "--listen", "--for", "20", **secret) for _ in range(2)]
    for reader in readers:
        assert reader.stderr is not None
        assert re.search(r"SOL of the BMC|shared with", reader.stderr.readline())
    bmc.tell("say for the listeners")
    keys = ("sh", "-c", r"""printf 'for all\r' | "$@" """, "sh")
    typed = cli("console", "rack1", prefix=keys, **secret)  # the listener who has SOL hands it over
    assert typed.code == 0 and "for all" in typed.out, typed.err
    told = [reader.communicate(timeout=PATIENCE_S) for reader in readers]
    assert [reader.returncode for reader in readers] == [0, 0], told
    for out, err in told:
        assert "for the listeners" in out and "for all" in out
        assert re.search(r"shared with .*\(process \d+, console", err)
    assert wait_for(lambda: open_sessions(address(bmc)) == 1)


def test_a_console_that_does_not_come_back_ends_with_the_labs_exit_code(rack: tuple[Cli, FakeBmc]) -> None:
    cli, bmc = rack
    secret = {"RACK1_PASSWORD": bmc.password}
    process = cli.popen("console", "rack1", "--listen", **secret)
    assert process.stderr is not None
    assert "SOL of the BMC" in process.stderr.readline()
    with sol_of(bmc, steal=True):
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 10
    assert "SOL did not come back" in err and "Traceback" not in err


def test_a_session_that_a_killed_process_left_is_told_and_taken_back(rack: tuple[Cli, FakeBmc]) -> None:
    cli, bmc = rack
    process = cli.popen("console", "rack1", "--listen", RACK1_PASSWORD=bmc.password)
    assert process.stderr is not None
    assert "SOL of the BMC" in process.stderr.readline()
    process.kill()
    process.wait(30)
    after = cli("console", "rack1", "--listen", "--for", "1", RACK1_PASSWORD=bmc.password)
    assert after.code == 0, after.err
    assert re.search(rf"took the console back from .*\(process {process.pid}, console", after.err)
    with sol_of(bmc):  # somebody else's is not
        held = cli("console", "rack1", "--for", "1", RACK1_PASSWORD=bmc.password)
        assert held.code == 10 and "is held by another session" in held.err


def test_sigterm_leaves_the_console_to_the_next(rack: tuple[Cli, FakeBmc]) -> None:
    cli, bmc = rack
    process = cli.popen("console", "rack1", "--listen", RACK1_PASSWORD=bmc.password)
    assert process.stderr is not None
    assert "SOL of the BMC" in process.stderr.readline()
    process.terminate()
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert "SIGTERM" in err
    with sol_of(bmc) as console:
        console.write(b"free")
        assert collect(console, 4) == b"free"


# The event log.


def test_what_the_log_gets_after_its_mark_is_read_from_both(server: Server) -> None:
    with IpmiClient(address(server)) as client:
        log = IpmiLog(client)

        def add(sensor: int, offset: int) -> None:
            client.request(0x0A, 0x44, event_record(sensor, offset, at_s=0), "add an entry")

        log.mark()
        assert log.since_mark() == ()
        add(0x0C, 0x1)
        assert [entry.kind for entry in log.since_mark() or ()] == ["memory"]
        log.mark()
        assert log.since_mark() == ()
        for sensor, offset in ((0x1D, 0x0), (0x23, 0x1), (0x08, 0x1)):
            add(sensor, offset)
        assert [entry.kind for entry in log.since_mark() or ()] == ["watchdog", "power"]
