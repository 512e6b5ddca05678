"""Power by a BMC that answers oddly, late, or not at all, on a clock of its own."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from bringup.base.errors import (
    AuthenticationError,
    BmcBusyError,
    BmcTimeoutError,
    LabError,
    OverrideError,
    OverrideRefusedError,
    PowerStuckError,
    UnclearStateError,
)
from bringup.base.events import Event
from bringup.power.actions import confirmed_state, cycle, ensure_off, ensure_on, reset, soft_off
from bringup.power.base import BootOverride, PowerState
from bringup.power.drivers.ipmi import ChassisCommands, IpmiIdentity, IpmiLog, IpmiOverride, IpmiPower
from bringup.twin.bmc.sel import event_record
from tests.doubles.scripted_bmc import (
    APP,
    CHASSIS,
    CONTROL,
    GET_BOOT,
    GET_SEL_ENTRY,
    SET_BOOT,
    STATUS,
    STORAGE,
    SYSTEM_GUID,
    Says,
    ScriptedBmc,
)
from tests.unit.ipmi.test_fru import board, inventory

NETWORK = BootOverride("network")
ON, OFF = PowerState.ON, PowerState.OFF


class Told:
    """The events of a sequence."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def texts(self, kind: str) -> list[str]:
        return [event.text for event in self.events if event.kind == kind]


def power_of(bmc: ScriptedBmc) -> IpmiPower:
    return IpmiPower(ChassisCommands(bmc))


def do(action: Callable[..., Any], bmc: ScriptedBmc, **pace: float) -> Told:
    told = Told()
    action(power_of(bmc), told, bmc.clock.pace(**pace))
    return told


# A status read that fails is unknown, and no end.


@pytest.mark.parametrize("code", [0xFF, 0xD3, 0xCE, 0xD5, 0xC0, 0xC1, 0xC3, 0xD2])
def test_a_bmc_that_cannot_tell_for_12_s_is_asked_on(code: int) -> None:
    bmc = ScriptedBmc([Says(CHASSIS, STATUS, code, until_s=12)])
    do(ensure_on, bmc)
    assert bmc.on and bmc.orders() == ["on"]
    assert bmc.sent[-1].at_s > 12


@pytest.mark.parametrize("code", [0xFF, 0xD3, 0xCE, 0xD5, 0xC0, 0xC3])
def test_a_bmc_that_never_can_tell_is_named_and_nothing_is_switched(code: int) -> None:
    bmc = ScriptedBmc([Says(CHASSIS, STATUS, code)])
    with pytest.raises((UnclearStateError, BmcBusyError), match=f"{code:#04x}"):
        do(ensure_on, bmc, confirm_timeout_s=20.0)
    assert bmc.orders() == [] and bmc.age_s < 30


def test_a_user_who_may_not_ask_is_told_at_once() -> None:
    bmc = ScriptedBmc([Says(CHASSIS, STATUS, 0xD4)])
    with pytest.raises(AuthenticationError, match="does not let user ADMIN") as caught:
        do(ensure_on, bmc)
    assert "privilege" in str(caught.value.hint) and "password" not in str(caught.value.hint)
    assert bmc.age_s < 1


def test_unclear_reads_in_the_middle_of_a_cycle_are_passed_over() -> None:
    bmc = ScriptedBmc([Says(CHASSIS, STATUS, 0xFF, from_s=1, until_s=8)], on=True, off_s=3)
    do(cycle, bmc)
    assert bmc.on and bmc.orders() == ["off", "on"]


# A command that was not taken is sent again.


@pytest.mark.parametrize("code", [0xC0, 0xC1, 0xC3, 0xCE, 0xD2, 0xD3, 0xD5, 0xFF])
@pytest.mark.parametrize("times", [1, 2, 4])
def test_a_power_on_that_was_not_taken_is_sent_again(code: int, times: int) -> None:
    bmc = ScriptedBmc([Says(CHASSIS, CONTROL, code, times=times)])
    do(ensure_on, bmc)
    assert bmc.on and bmc.age_s < 10


def test_a_bmc_that_takes_no_command_for_ten_seconds_gets_it_then() -> None:
    bmc = ScriptedBmc([Says(CHASSIS, CONTROL, 0xD3, until_s=10)])
    do(ensure_on, bmc)
    assert bmc.on


def test_a_command_that_is_refused_for_good_ends_with_the_refusal() -> None:
    bmc = ScriptedBmc([Says(CHASSIS, CONTROL, 0xD5)])
    with pytest.raises(UnclearStateError, match=r"present state.*power on had been asked for.*off when last"):
        do(ensure_on, bmc)
    assert bmc.age_s < 60


@pytest.mark.parametrize(("action", "name"), [(reset, "reset"), (soft_off, "soft")])
@pytest.mark.parametrize("code", [0xC3, 0xCE, None])
def test_what_would_be_done_twice_is_not_repeated(
    action: Callable[..., Any], name: str, code: int | None
) -> None:
    bmc = ScriptedBmc([Says(CHASSIS, CONTROL, code, times=1)], on=True)
    with pytest.raises(LabError, match=f"power {name} had been asked for, and the board's power was on"):
        do(action, bmc)
    assert bmc.orders() == [name]


def test_a_reset_that_a_busy_bmc_did_not_take_is_repeated() -> None:
    bmc = ScriptedBmc([Says(CHASSIS, CONTROL, 0xC0, times=2)], on=True)
    do(reset, bmc)
    assert bmc.orders() == ["reset"] * 3


# A command without an effect is given again.


@pytest.mark.parametrize("ignored", [1, 2])
def test_an_ignored_power_on_is_asked_again_and_told(ignored: int) -> None:
    bmc = ScriptedBmc(ignored_ons=ignored)
    told = do(ensure_on, bmc)
    assert bmc.on and bmc.orders() == ["on"] * (ignored + 1)
    assert told.texts("power.again") == ["still off: asking for power on again"] * ignored


def test_the_power_on_of_a_cycle_that_is_ignored_is_asked_again() -> None:
    bmc = ScriptedBmc(on=True, ignored_ons=1)
    do(cycle, bmc)
    assert bmc.on and bmc.orders() == ["off", "on", "on"]


def test_a_board_that_takes_15_s_to_come_up_is_not_asked_twice() -> None:
    bmc = ScriptedBmc(on_s=15)
    do(ensure_on, bmc)
    assert bmc.orders() == ["on"]


# A sequence that breaks off says how it leaves the board, and puts it back on.


def test_a_cycle_that_cannot_switch_on_tries_again_and_says_so() -> None:
    bmc = ScriptedBmc([Says(CHASSIS, CONTROL, 0xCC, times=1, first=1)], on=True)
    with pytest.raises(LabError, match=r"invalid field.*; the board, which was on, is on again"):
        do(cycle, bmc)
    assert bmc.on


def test_a_cycle_whose_board_stays_off_says_that_it_may_be_off() -> None:
    bmc = ScriptedBmc([Says(CHASSIS, CONTROL, 0xCC, first=1)], on=True)
    with pytest.raises(LabError, match="the board was on, and may be off now: "):
        do(cycle, bmc)
    assert not bmc.on


def test_a_person_who_interrupts_a_cycle_has_the_board_on_again() -> None:
    bmc = ScriptedBmc(on=True)

    class Interrupted(IpmiPower):
        def on(self) -> None:
            if bmc.orders() == ["off"] and not interrupted:
                interrupted.append(True)
                raise KeyboardInterrupt
            super().on()

    interrupted: list[bool] = []
    told = Told()
    with pytest.raises(KeyboardInterrupt):
        cycle(Interrupted(ChassisCommands(bmc)), told, bmc.clock.pace())
    assert bmc.on
    assert told.texts("power.left") == ["the board, which was on, is on again"]
    assert told.events[-1].data["state"] == "on"


def test_a_board_that_was_off_is_not_switched_on_by_what_breaks_off() -> None:
    bmc = ScriptedBmc([Says(CHASSIS, CONTROL, 0xCC)])
    with pytest.raises(LabError, match="invalid field") as caught:
        do(cycle, bmc)
    assert "again" not in caught.value.message and not bmc.on


@pytest.mark.parametrize(("faults", "words"), [
    (bytes(3), r"still off after 60 s$"),
    (b"\x04\0\0", r"still off after 60 s: the BMC reports an open interlock \(a chassis panel\)$"),
    (b"\x0a\0\0", r"reports a power overload and a fault of the power supply$"),
    (b"\x00\x08\0", r"reports that a power fault switched the board off last$"),
    (b"\x60\x10\x03", r"still off after 60 s$"),  # the restore policy, and other bits that stop nothing
])  # fmt: skip
def test_what_keeps_a_board_off_is_told_where_the_bmc_knows(faults: bytes, words: str) -> None:
    bmc = ScriptedBmc(ignored_ons=99, faults=faults)
    with pytest.raises(PowerStuckError, match=words):
        do(ensure_on, bmc)


def test_a_status_of_one_byte_tells_no_faults() -> None:
    bmc = ScriptedBmc(ignored_ons=99, faults=b"\0")
    with pytest.raises(PowerStuckError, match=r"still off after 60 s$"):
        do(ensure_on, bmc)


@pytest.mark.parametrize("code", [0xFF, 0xC0, 0xD5])
def test_a_bmc_that_tells_nothing_of_the_power_is_told_of_once_while_it_is_asked(code: int) -> None:
    bmc, told = ScriptedBmc([Says(CHASSIS, STATUS, code, until_s=30)]), Told()
    assert confirmed_state(power_of(bmc), bmc.clock.pace(), emit=told) is OFF
    assert len(told.texts("power.unclear")) == 1
    assert f"{code:#04x}): asking on, up to 60 s" in told.texts("power.unclear")[0]


def test_a_bmc_that_is_busy_for_a_moment_is_no_word_worth() -> None:
    bmc, told = ScriptedBmc([Says(CHASSIS, STATUS, 0xFF, until_s=3)]), Told()
    assert confirmed_state(power_of(bmc), bmc.clock.pace(), emit=told) is OFF
    assert not told.events


@pytest.mark.parametrize("code", [0x90, 0xC1, 0xCC, 0xD4, 0xD6])
def test_a_command_that_is_refused_says_how_the_board_is_and_what_to_do(code: int) -> None:
    bmc = ScriptedBmc([Says(CHASSIS, CONTROL, code)], on=True)
    with pytest.raises(LabError, match="the board's power was on when last seen") as caught:
        do(ensure_off, bmc)
    assert caught.value.hint and bmc.on


def test_a_cycle_whose_power_off_is_refused_says_that_the_board_is_still_on() -> None:
    bmc = ScriptedBmc([Says(CHASSIS, CONTROL, 0xCC, first=0)], on=True)
    with pytest.raises(LabError, match="; the board, which was on, is still on"):
        do(cycle, bmc)
    assert bmc.on


# A BMC that restarts is waited for.


@pytest.mark.parametrize("silent_s", [20, 60, 180])
def test_a_bmc_that_restarts_in_the_middle_is_waited_for_and_told(silent_s: float) -> None:
    bmc = ScriptedBmc(on_s=2, silent=(1.0, 1.0 + silent_s))
    back = []
    told = Told()
    ensure_on(power_of(bmc), told, bmc.clock.pace(), back=lambda: back.append(bmc.age_s))
    assert bmc.on
    assert "does not answer any more: waiting for it, up to 4 min" in told.texts("bmc.silent")[0]
    assert "answers again after" in told.texts("bmc.back")[0]
    assert len(back) == 1 and back[0] > silent_s


def test_a_bmc_that_stays_away_is_given_up_after_minutes_and_the_board_is_told() -> None:
    bmc = ScriptedBmc(on_s=2, silent=(1.0, 1e9))
    with pytest.raises(BmcTimeoutError, match="power on had been asked for, and the board's power was off"):
        do(ensure_on, bmc)
    assert 240 < bmc.age_s < 300


def test_a_bmc_that_was_never_there_is_named_at_once() -> None:
    bmc = ScriptedBmc(silent=(0.0, 1e9))
    with pytest.raises(BmcTimeoutError):
        do(ensure_off, bmc)
    assert bmc.age_s < 10


def test_one_login_serves_a_whole_sequence() -> None:
    bmc = ScriptedBmc(on=True)
    do(cycle, bmc)
    assert bmc.logins == 1


def test_a_confirmed_state_that_was_just_read_is_not_read_again() -> None:
    bmc = ScriptedBmc()
    power, pace = power_of(bmc), bmc.clock.pace()
    found = confirmed_state(power, pace)
    reads = bmc.count(STATUS)
    ensure_on(power, Told(), pace, found=found)
    assert bmc.sent[reads].command == CONTROL


# Who it is.

GUIDS = "GUID 03020100-0504-0706-0809-0a0b0c0d0e0f"


def identity_of(bmc: ScriptedBmc) -> str | None:
    return IpmiIdentity(bmc).identity()


def test_a_bmc_is_known_by_its_system_s_guid_and_asked_once() -> None:
    bmc = ScriptedBmc()
    assert identity_of(bmc) == GUIDS
    assert len(bmc.sent) == 1


@pytest.mark.parametrize("code", [0xC1, 0xD4, 0xCC, 0xFF])
def test_a_bmc_that_knows_no_system_guid_may_have_its_own(code: int) -> None:
    bmc = ScriptedBmc([Says(APP, SYSTEM_GUID, code)])
    assert identity_of(bmc) == GUIDS


def test_a_bmc_that_is_busy_is_asked_again_before_something_else_is_taken() -> None:
    bmc = ScriptedBmc([Says(APP, SYSTEM_GUID, 0xC0, times=2)])
    assert identity_of(bmc) == GUIDS
    assert {sent.command for sent in bmc.sent} == {SYSTEM_GUID}


@pytest.mark.parametrize("guid", [None, bytes(16), b"\xff" * 16, b"short"])
def test_without_a_guid_the_serial_number_counts(guid: bytes | None) -> None:
    assert identity_of(ScriptedBmc(guid=guid, fru=inventory(board(b"ZM18AS1")))) == "serial number ZM18AS1"
    assert identity_of(ScriptedBmc(guid=guid)) is None


# The boot override.


def override_of(bmc: ScriptedBmc, told: Told | None = None) -> IpmiOverride:
    return IpmiOverride(ChassisCommands(bmc), told or Told())


@pytest.mark.parametrize(
    "keeps",
    [
        lambda flags: flags,
        lambda flags: flags[:2] + bytes([0x40, 0, 0]),
        lambda flags: bytes([flags[0] | 0x0F, flags[1] | 0xC3, 0xFF, 0xFF, 0xFF]),
    ],
)
def test_bits_that_are_the_bmc_s_own_do_not_count(keeps: Callable[[bytes], bytes]) -> None:
    told = Told()
    assert override_of(ScriptedBmc(keeps=keeps), told).set(NETWORK) is True
    assert "read back, 60 s timer off" in told.texts("override.read")[0]


@pytest.mark.parametrize(
    "bmc", [ScriptedBmc(locked=True), ScriptedBmc(keeps=lambda flags: bytes([flags[0] & 0x7F, *flags[1:]]))]
)
def test_a_bmc_that_does_not_mark_its_flags_valid_leaves_it_uncertain_and_goes_on(bmc: ScriptedBmc) -> None:
    told = Told()
    assert override_of(bmc, told).set(NETWORK) is False
    assert "not marked valid: the board's first DHCP packet will tell" in told.texts("override.unsure")[0]


@pytest.mark.parametrize(
    "keeps",
    [
        lambda flags: bytes([flags[0] | 0x40, *flags[1:]]),
        lambda flags: bytes([flags[0], 0x08, 0, 0, 0]),
        lambda flags: bytes([flags[0] ^ 0x20, *flags[1:]]),
        lambda _flags: bytes(5),
    ],
)
def test_an_override_that_is_another_one_is_named(keeps: Callable[[bytes], bytes]) -> None:
    with pytest.raises(OverrideError, match="did not keep the boot override: asked for network once"):
        override_of(ScriptedBmc(keeps=keeps)).set(NETWORK)


@pytest.mark.parametrize("code", [0x80, 0xC1, 0xCC, 0xD4, 0xFF, 0xC0])
def test_a_bmc_that_does_not_tell_what_it_holds_is_named(code: int) -> None:
    with pytest.raises(OverrideError, match=r"took the boot override .* and does not tell") as caught:
        override_of(ScriptedBmc([Says(CHASSIS, GET_BOOT, code)])).set(NETWORK)
    assert type(caught.value) is OverrideError


@pytest.mark.parametrize("code", [0x80, 0x82, 0xC1, 0xCC, 0xD4, 0xD5])
def test_an_override_that_is_refused_is_named_so(code: int) -> None:
    with pytest.raises(OverrideRefusedError, match="the boot override was refused: "):
        override_of(ScriptedBmc([Says(CHASSIS, SET_BOOT, code, first=5)])).set(NETWORK)


@pytest.mark.parametrize(("code", "words"), [
    (0x80, "keeps no boot flags"),
    (0x81, "by somebody else"),
    (0x82, "lets nobody set"),
])  # fmt: skip
def test_the_codes_that_are_the_boot_options_own_are_told_in_words(code: int, words: str) -> None:
    with pytest.raises(OverrideRefusedError, match=words):
        override_of(ScriptedBmc([Says(CHASSIS, SET_BOOT, code, first=5)])).set(NETWORK)


def test_boot_options_that_somebody_else_is_setting_are_set_a_moment_later() -> None:
    assert override_of(ScriptedBmc([Says(CHASSIS, SET_BOOT, 0x81, times=3, first=5)])).set(NETWORK)


@pytest.mark.parametrize("command", [SET_BOOT, GET_BOOT])
@pytest.mark.parametrize("code", [0xC0, 0xFF, 0xD3])
def test_an_override_that_a_bmc_cannot_take_just_now_is_asked_again(command: int, code: int) -> None:
    assert override_of(ScriptedBmc([Says(CHASSIS, command, code, times=3, first=5)])).set(NETWORK)


@pytest.mark.parametrize("code", [0x80, 0xC0, 0xC1, 0xCC, 0xD4, 0xFF])
def test_a_timer_that_cannot_be_stopped_is_told_and_no_end(code: int) -> None:
    told = Told()
    assert override_of(ScriptedBmc([Says(CHASSIS, SET_BOOT, code, first=3)]), told).set(NETWORK)
    assert [event.data.get("expires") for event in told.events] == [True, True]
    assert "60 s timer cannot be stopped" in told.texts("override.read")[0]


def test_a_silent_bmc_is_no_refusal() -> None:
    with pytest.raises(BmcTimeoutError):
        override_of(ScriptedBmc([Says(CHASSIS, SET_BOOT, None)])).set(NETWORK)


def test_clearing_needs_no_word_from_a_bmc_that_tells_nothing() -> None:
    bmc = ScriptedBmc([Says(CHASSIS, GET_BOOT, 0x80)])
    bmc.flags = bytes([0x80, 0x04, 0, 0, 0])
    override_of(bmc).clear()
    assert bmc.flags == bytes(5)
    with pytest.raises(OverrideError, match="did not keep"):
        override_of(ScriptedBmc(keeps=lambda _flags: bytes([0x80, 4, 0, 0, 0]))).clear()


# What a boot asks until the board is switched on.


def boot_until_on(bmc: ScriptedBmc) -> float:
    """Ask all that a boot of a real board asks; return when it was told to switch on."""
    told, pace = Told(), bmc.clock.pace()
    identity_of(bmc)
    power = power_of(bmc)
    found = confirmed_state(power, pace)
    override_of(bmc, told).set(NETWORK)
    found = confirmed_state(power, pace, found=found)
    IpmiLog(bmc).mark()
    ensure_on(power, told, pace, found=found)
    return next(sent.at_s for sent in bmc.sent if (sent.command, sent.data) == (CONTROL, bytes([1])))


@pytest.mark.parametrize("answer_s", [0.005, 0.05, 0.2])
def test_a_bmc_that_answers_at_once_has_the_board_on_within_seconds(answer_s: float) -> None:
    bmc = ScriptedBmc(spacing_s=5.0, answer_s=answer_s)
    assert boot_until_on(bmc) < 4.0
    assert bmc.logins == 1


@pytest.mark.parametrize("answer_s", [0.5, 1.0, 3.0])
def test_a_bmc_that_labours_is_asked_seven_things_at_its_own_pace(answer_s: float) -> None:
    bmc = ScriptedBmc(spacing_s=5.0, answer_s=answer_s)
    assert boot_until_on(bmc) == pytest.approx(7 * 5.0)
    times = [sent.at_s for sent in bmc.sent]
    assert all(after - before >= 5.0 - 1e-6 for before, after in pairwise(times))


WATCHDOG, ECC = (0x23, 1), (0x0C, 1)


def log(bmc: ScriptedBmc, *events: tuple[int, int]) -> None:
    for sensor, offset in events:
        bmc.sel.add(event_record(sensor, offset, at_s=bmc.age_s), bmc.age_s)


@pytest.mark.parametrize("before", [(), (ECC,), (WATCHDOG, ECC, WATCHDOG)])
def test_the_log_tells_what_was_added_since_its_mark_and_nothing_older(before: Any) -> None:
    bmc = ScriptedBmc()
    log(bmc, *before)
    journal = IpmiLog(bmc)
    assert journal.since_mark() is None
    journal.mark()
    assert journal.since_mark() == ()
    log(bmc, (0x1D, 0), WATCHDOG, (0x22, 0), WATCHDOG, ECC)
    told = journal.since_mark()
    assert told is not None
    assert [each.kind for each in told] == ["watchdog", "memory"]


def test_a_log_that_was_emptied_meanwhile_holds_only_what_is_new() -> None:
    bmc = ScriptedBmc()
    log(bmc, ECC, ECC)
    journal = IpmiLog(bmc)
    journal.mark()
    bmc.sel.clear(1.0)
    assert journal.since_mark() == ()
    log(bmc, WATCHDOG)
    assert [each.kind for each in journal.since_mark() or ()] == ["watchdog"]


@pytest.mark.parametrize("code", [0xC1, 0xC0, 0xD4, 0xFF, None])
def test_a_log_that_cannot_be_read_is_unknown_and_never_asked_twice(code: int | None) -> None:
    bmc = ScriptedBmc([Says(STORAGE, GET_SEL_ENTRY, code)])
    journal = IpmiLog(bmc)
    journal.mark()
    assert journal.since_mark() is None
    assert len(bmc.sent) == 1
    assert bmc.age_s <= 2.1


def test_a_bmc_that_labours_is_spared_the_question() -> None:
    bmc = ScriptedBmc(answer_s=1.0, spacing_s=5.0, on=True)
    confirmed_state(power_of(bmc), bmc.clock.pace())
    asked = len(bmc.sent)
    IpmiLog(bmc).mark()
    assert len(bmc.sent) == asked


def test_a_log_that_runs_over_explains_nothing() -> None:
    bmc = ScriptedBmc()
    journal = IpmiLog(bmc)
    journal.mark()
    log(bmc, *[ECC] * 100)
    assert journal.since_mark() is None
