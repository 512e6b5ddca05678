"""What is certain about a boot strikes out usual causes, and says which row fits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bringup.base.errors import LabError
from bringup.base.events import Event, Source
from bringup.base.firmware import Firmware
from bringup.base.stage import Stage
from bringup.boot.causes.hints import HINT_UNLESS
from bringup.boot.causes.table import TABLE
from bringup.boot.facts import Fact
from bringup.boot.verdict import Verdict
from bringup.transcript.failures.table import FAILURES
from bringup.transcript.markers import HAND_OVER
from tests.unit.boot.test_verdict import (
    BIOS,
    MAC,
    SERVED,
    decide,
    dhcp,
    event,
    failed,
    on,
    progress,
    said,
    tftp,
)

ON = on(1.0)
TEXT = said(2.0, Stage.FIRMWARE, "American Megatrends", 1)
GIVEN = SERVED[:6]
READ = event(0.9, "power", "override.read", "network once, read back")
RIVAL = event(3.05, "dhcp", "dhcp.rival", server="10.9.9.9")
SEARCHED = event(0.4, "dhcp", "dhcp.searched")


def whys(events: list[Event]) -> tuple[str, list[str]]:
    verdict, _ = decide(events)
    return verdict.code, [why for why, _ in verdict.causes]


def carrier(up: bool) -> Event:
    return event(0.3, "run", "link.carrier", carrier=up)


def test_console_that_spoke_is_redirected() -> None:
    assert "console redirection is off" in whys([ON])[1]
    # Seen by the probe's own kind of silence: a stage that never came although characters did.
    code, causes = whys([ON, event(4.0, "console", "console.activity", "hello", bytes=9, line=1)])
    assert code == "no-dhcp"
    assert "console redirection is off" not in causes


def test_option_rom_that_spoke_is_on() -> None:
    assert "LAN option ROM off for this port" in whys([ON, TEXT])[1]
    code, causes = whys([ON, TEXT, failed(3.0, "PXE-E61:")])
    assert code == "no-dhcp"
    assert "LAN option ROM off for this port" not in causes
    assert causes[0] == "cable in another port"


@pytest.mark.parametrize(
    ("more", "firewall", "other"),
    [
        ([], True, True),
        ([tftp(3.5, "error", "core.0", reason="timeout")], False, False),
        ([SEARCHED], True, False),
    ],
)
def test_request_that_arrived_passed_the_firewall(more: list[Event], firewall: bool, other: bool) -> None:
    # A name that is known here is not foreign: it was begun before.
    begun = [tftp(3.4, "start", "core.0")] if more and more[0].kind == "tftp.error" else []
    code, causes = whys([*GIVEN, *begun, *more])
    assert code == ("loader-stalled" if begun else "loader-not-fetched")
    if not begun:
        assert ("a firewall on this host" in causes) is firewall
        assert ("the board took the server address of another DHCP server" in causes) is other


def test_other_dhcp_server_is_named_or_struck_out() -> None:
    assert "another DHCP server answered" in whys(SERVED[:4])[1]
    assert "another DHCP server answered" not in whys([SEARCHED, *SERVED[:4]])[1]
    code, causes = whys([*SERVED[:4], RIVAL])
    assert (code, causes[0]) == ("dhcp-not-taken", "10.9.9.9 answers DHCP on this segment, too")
    assert whys([SEARCHED, *SERVED[:4], RIVAL])[1][0].startswith("10.9.9.9")


def test_name_that_nobody_told_is_another_servers() -> None:
    verdict, _ = decide([*GIVEN, tftp(3.5, "error", "pxelinux.0", reason="no such file")])
    assert verdict.code == "foreign-file"
    assert verdict.cause == f"{MAC} asks this host for pxelinux.0, which nobody here told it of"


def test_names_that_our_loader_tries_are_not_foreign() -> None:
    loaded = SERVED[:8]
    verdict, _ = decide([*loaded, tftp(4.5, "error", "grub.cfg-01", reason="no such file")])
    assert verdict.code == "kernel-not-fetched"


def test_address_without_a_file_is_not_dhcp_reached() -> None:
    asked = [ON, dhcp(3.0, "discover"), dhcp(3.1, "offer"), dhcp(3.3, "ack", file=None)]
    as_uefi = [asked[0], dhcp(3.0, "discover", arch=7), *asked[2:]]
    assert decide(as_uefi)[0].code == "dhcp-ignored"
    verdict, _ = decide(asked)
    assert (verdict.code, verdict.stage, verdict.missing) == ("dhcp-no-file", Stage.FIRMWARE, Stage.DHCP)


def test_link_that_is_down_here_is_not_the_boards_fault() -> None:
    verdict, _ = decide([carrier(False), ON, TEXT])
    assert (verdict.code, verdict.kind) == ("host-no-link", "lab")
    assert decide([carrier(True), ON, TEXT])[0].code == "no-dhcp"


DISK = [
    [said(3.0, Stage.FIRMWARE, "Booting from Hard Disk...", 2)],
    [said(3.0, Stage.LOADER, "GRUB loading.", 2)],
    [said(3.0, Stage.LOADER, "Welcome to GRUB!", 2), failed(3.5, "Entering rescue mode...")],
    [said(3.0, Stage.LOADER, "Welcome to GRUB!", 2), said(4.0, Stage.KERNEL, "Linux version 6", 3)],
]


@pytest.mark.parametrize("events", DISK)
def test_disk_that_booted_is_no_loader_and_says_whether_the_override_was_read(events: list[Event]) -> None:
    verdict, _ = decide([ON, TEXT, *events])
    assert verdict.code == "booted-elsewhere"
    assert "the boot override was not taken" in [why for why, _ in verdict.causes]
    verdict, _ = decide([READ, ON, TEXT, *events])
    assert (verdict.code, verdict.kind) == ("override-ignored", "lab")
    assert "the firmware does not follow the BMC's boot override" in [why for why, _ in verdict.causes]
    assert Stage.LOADER not in {r.stage for r in verdict.stages if r.at_s is not None}


def setting(*, expires: bool) -> Event:
    return event(0.8, "power", "override.set", "network once", device="network", expires=expires)


UNSURE = event(0.9, "power", "override.unsure", "not marked valid", device="network")
ABSENT = event(0.9, "power", "override.absent", "none: the board's own boot order decides")


def late(events: list[Event], by_s: float) -> list[Event]:
    return [replace(each, at_s=each.at_s + by_s) for each in events]


@pytest.mark.parametrize("events", DISK)
def test_an_override_that_the_bmc_dropped_before_the_disk_booted_has_expired(events: list[Event]) -> None:
    code, causes = whys([*late([setting(expires=True)], -59), READ, ON, TEXT, *events])
    assert code == "override-expired"
    assert "the BMC dropped the boot override before the self-test was over" in causes
    assert whys([setting(expires=True), READ, ON, TEXT, *events])[0] == "override-ignored"
    assert whys([*late([setting(expires=False)], -59), READ, ON, TEXT, *events])[0] == "override-ignored"


@pytest.mark.parametrize("events", DISK)
def test_an_override_that_was_not_read_back_for_certain_is_unproven(events: list[Event]) -> None:
    code, causes = whys([setting(expires=False), UNSURE, ON, TEXT, *events])
    assert code == "override-unproven"
    assert "the boot override was not taken" in causes


@pytest.mark.parametrize("events", DISK)
def test_a_boot_without_an_override_blames_the_boot_order(events: list[Event]) -> None:
    code, causes = whys([ABSENT, ON, TEXT, *events])
    assert code == "booted-elsewhere"
    assert any("the board's own order has its disk first" in why for why in causes)


def test_a_board_that_never_asks_may_have_lost_an_override_that_expires_or_was_not_certain() -> None:
    waits = [ON, TEXT]
    assert whys([*late([setting(expires=True)], -59), READ, *waits])[1][0].startswith(
        "the BMC dropped the boot override"
    )
    assert whys([UNSURE, *waits])[1][0].startswith("the BMC did not keep the boot override")
    assert not any("override" in why for why in whys([READ, *waits])[1])


def test_disk_that_held_nothing_did_not_boot() -> None:
    tried = [DISK[0][0], failed(4.0, "No bootable device")]
    assert decide([READ, ON, TEXT, *tried])[0].code == "no-dhcp"


def test_served_grub_is_the_loader() -> None:
    grub = said(3.6, Stage.LOADER, "Welcome to GRUB!", 5)
    verdict, _ = decide([*SERVED[:7], grub])
    assert (verdict.code, verdict.missing) == ("kernel-not-fetched", Stage.KERNEL_IMAGE)


def test_last_line_of_the_console_is_quoted_though_nobody_knows_it() -> None:
    tail = event(5.0, "console", "console.activity", "Checking NVRAM..", bytes=90, line=7)
    assert seen([ON, TEXT, tail]) == 'console line 7: "Checking NVRAM.."'


def seen(events: list[Event]) -> Any:
    verdict: Verdict = decide(events)[0]
    return verdict.seen


def test_loader_that_gave_up_tells_its_last_error() -> None:
    tries = [
        failed(4.2, "Requested memory not available (http://ipxe.org/%x)", 9),
        failed(4.3, "bringup: starting kernel failed", 10),
        failed(4.4, "bringup: stopped after %d attempts", 11),
    ]
    verdict, _ = decide([*SERVED, *tries])
    assert (verdict.code, verdict.cause) == ("loader-memory", "iPXE cannot place the image in memory")
    verdict, _ = decide([*SERVED, *tries[1:]])
    assert verdict.code == "loader-start"


def test_firmware_that_waits_for_a_key_is_the_word_for_what_is_overdue() -> None:
    asks = failed(34.0, "Press F1 to Run SETUP")
    verdict, now_s = decide([ON, TEXT, asks])
    assert (verdict.code, verdict.cause) == ("waits-for-key", "the firmware stopped and asks for F1")
    assert now_s < 40.0


def test_rom_that_only_gave_up_is_a_hint_where_it_did_not_say_why() -> None:
    assert whys([ON, TEXT, failed(3.0, "PXE-M0F: Exiting")])[1][0] == "see the message before this line"
    both = [failed(2.9, "PXE-E61:"), failed(3.0, "PXE-M0F: Exiting")]
    assert "see the message before this line" not in whys([ON, TEXT, *both])[1]


def test_stranger_that_asked_is_told_before_what_the_rom_printed() -> None:
    other = dhcp(2.5, "ignored", mac="02:00:00:00:00:01")
    code, causes = whys([ON, TEXT, other, failed(3.0, "PXE-E51:")])
    assert (code, causes[0]) == ("no-dhcp", "02:00:00:00:00:01 asked instead")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (["02:00:00:00:00:01"], "02:00:00:00:00:01, which is b2 of this lab, asked instead"),
        (
            ["02:00:00:00:00:09", "02:00:00:00:00:01"],
            "02:00:00:00:00:01, which is b2 of this lab, asked instead",
        ),
        (["02:00:00:00:00:09"], "02:00:00:00:00:09 asked instead"),
        (
            ["02:00:00:00:00:02", "02:00:00:00:00:01"],
            "02:00:00:00:00:02, which is b3 of this lab and 02:00:00:00:00:01, which is b2 of this lab, "
            "asked instead",
        ),
    ],
)
def test_stranger_that_is_another_board_of_the_lab_is_named(asked: list[str], told: str) -> None:
    lab = {"02:00:00:00:00:01": "b2", "02:00:00:00:00:02": "b3"}
    strangers = [dhcp(2.5 + number / 10, "ignored", mac=mac) for number, mac in enumerate(asked)]
    verdict, _ = decide([ON, TEXT, *strangers], replace(BIOS, neighbours=lab))
    assert verdict.causes[0][0] == told


def test_text_on_the_other_port_counts_from_the_loaders_last_words_on() -> None:
    over = said(6.1, Stage.LOADER, HAND_OVER, 9)
    other = event(6.4, "console", "console.activity", bytes=90, image_bytes=90, quiet_s=0.1, port="COM1")
    assert decide([*SERVED, over, other])[0].code == "other-port"
    assert decide([*SERVED, other])[0].code != "other-port"  # a loader may still be speaking


def test_every_fact_matters_to_some_cause() -> None:
    used = {fact for row in TABLE.values() for cause in row.causes for fact in cause.unless | cause.needs}
    assert used == set(Fact)


def logged(*kinds: str) -> Event:
    entries = [{"kind": kind, "text": f"what the {kind} did"} for kind in kinds]
    return event(1.5, "power", "bmc.log", "the BMC's event log", entries=entries)


STARTED = [*SERVED, said(7.0, Stage.KERNEL, "Boot config: disable_iommu = ", 9)]
OVER = [*STARTED, said(9.0, Stage.KERNEL, "Boot config: disable_iommu = ", 12)]


@pytest.mark.parametrize(
    ("kind", "code", "fault"),
    [
        ("watchdog", "watchdog-reset", "profile"),
        ("power", "board-fault", "lab"),
        ("thermal", "board-fault", "lab"),
        ("memory", "board-fault", "lab"),
        ("processor", "board-fault", "lab"),
        ("button", "reboot-loop", "image"),
    ],
)
def test_what_the_bmc_logged_says_why_a_board_started_over(kind: str, code: str, fault: str) -> None:
    verdict, _ = decide([*OVER, logged(kind)])
    assert (verdict.code, verdict.kind) == (code, fault)
    whys = [why for why, _ in verdict.causes]
    assert whys[0] == f"the BMC logged what the {kind} did"
    assert not [why for why in whys if why.startswith("somebody") or why == "a watchdog fired"]
    assert all("{" not in text for pair in verdict.causes for text in pair)


def test_a_log_that_was_read_and_is_silent_strikes_out_only_the_advice_to_read_it() -> None:
    assert decide(OVER)[0].causes[-1] == ("somebody reset it", "ipmitool sel list")
    read = [why for why, _ in decide([*OVER, logged()])[0].causes]
    assert read[-1] == "somebody reset it, which this BMC does not log"
    assert "a watchdog fired" in read


@pytest.mark.parametrize("kind", ["power", "thermal", "memory", "processor"])
def test_silence_of_a_board_that_its_bmc_calls_broken_is_not_the_images(kind: str) -> None:
    assert (decide(STARTED)[0].code, decide(STARTED)[0].kind) == ("kernel-hangs", "image")
    verdict, _ = decide([*STARTED, logged(kind, "bus")])
    assert (verdict.code, verdict.kind) == ("board-fault", "lab")
    assert verdict.cause.endswith(f"its BMC logged what the {kind} did, what the bus did")
    bus, _ = decide([*STARTED, logged("bus")])
    assert (bus.code, bus.causes[0][0]) == ("kernel-hangs", "the BMC logged what the bus did")


def test_a_restart_in_the_self_test_spends_an_override_that_holds_once() -> None:
    spent = "the board restarted in its self-test, which spends an override that holds once"
    for events in DISK:
        assert spent not in whys([READ, ON, TEXT, *events])[1]
        code, causes = whys([READ, ON, TEXT, *events, logged("restart")])
        assert (code, causes[0]) == ("override-ignored", spent)
        assert spent not in whys([ABSENT, ON, TEXT, *events, logged("restart")])[1]


SERVES = {mode: event(0.5, "run", "run.ready", mode=mode) for mode in ("own-segment", "proxy")}


@pytest.mark.parametrize(
    ("events", "line", "contradicts"),
    [
        ([ON, TEXT], "PXE-E51:", [dhcp(3.0, "discover"), dhcp(3.1, "offer")]),
        ([ON, TEXT], "PXE-E16:", [dhcp(3.0, "discover"), dhcp(3.1, "offer")]),
        (GIVEN, "PXE-T01:", [SEARCHED]),
        (GIVEN, "PXE-E53:", [RIVAL]),
        ([ON, TEXT], "PXE-E55:", [SERVES["own-segment"]]),
        ([ON, TEXT], "PXE-E78:", [SERVES["own-segment"]]),
        ([ON, TEXT, *DISK[0]], "Entering rescue mode...", [READ]),
        ([ON, TEXT, *DISK[0]], "Entering rescue mode...", [ABSENT]),
    ],
)
def test_what_a_rom_or_loader_guesses_is_not_told_where_the_boot_knows_better(
    events: list[Event], line: str, contradicts: list[Event]
) -> None:
    guess = failed(3.6, line)
    row = next(row for row in FAILURES if row.text == line)
    assert row.why in HINT_UNLESS
    assert row.why in whys([*events, guess])[1]
    known = sorted([*contradicts, *events], key=lambda each: each.at_s)
    assert row.why not in whys([*known, guess])[1]


def test_every_guess_that_can_be_contradicted_is_one_that_a_console_can_bring() -> None:
    assert HINT_UNLESS.keys() <= {row.why for row in FAILURES}


ASKED_AGAIN = [*SERVED[:4], dhcp(7.0, "discover", arch=0), dhcp(7.1, "offer")]


@pytest.mark.parametrize(
    ("code", "cause", "events"),
    [
        ("dhcp-not-taken", "the firmware ignores proxyDHCP", SERVED[:4]),
        ("dhcp-not-taken", "the firmware ignores proxyDHCP", ASKED_AGAIN),
        ("dhcp-not-taken", "the firmware ignores proxyDHCP", [*ASKED_AGAIN, dhcp(8.0, "request")]),
        ("loader-not-fetched", "iPXE waits for an IPv6 router", GIVEN),
    ],
)
def test_what_only_a_shared_segment_has_is_told_only_there(
    code: str, cause: str, events: list[Event]
) -> None:
    for mode, told in (("proxy", True), ("own-segment", False)):
        found, causes = whys([SEARCHED, SERVES[mode], *events])
        assert (found, cause in causes) == (code, told)


def test_an_entry_of_a_kind_that_is_not_known_here_changes_nothing() -> None:
    assert decide([*STARTED, logged("weather")])[0].code == "kernel-hangs"


# Kinds of the recorded boards, each in other shapes than the recorded one.


@pytest.mark.parametrize("name", ["bootx64.efi", "grub/i386-pc/core.0", "lpxelinux.0", "ipxe.efi"])
@pytest.mark.parametrize("protocol", ["tftp", "http"])
def test_names_of_another_server_are_told_whatever_they_are(name: str, protocol: Source) -> None:
    asked = event(3.5, protocol, f"{protocol}.error", path=name, reason="no such file")
    verdict, _ = decide([*GIVEN, asked])
    assert (verdict.code, verdict.kind) == ("foreign-file", "lab")
    assert f"asks this host for {name}," in verdict.cause


@pytest.mark.parametrize(
    "rivals",
    [
        [event(0.4, "dhcp", "dhcp.rival", server="10.0.0.1")],
        [SEARCHED, event(3.05, "dhcp", "dhcp.rival", server="10.0.0.1", message="NAK")],
        [event(3.05, "dhcp", "dhcp.rival", server=f"10.0.0.{last}") for last in (1, 2, 9)],
        [event(3.05, "dhcp", "dhcp.rival", server="10.0.0.1", file="pxelinux.0")],
    ],
)
def test_a_rival_is_named_once_and_first(rivals: list[Event]) -> None:
    events = sorted([*SERVED[:4], *rivals], key=lambda each: each.at_s)
    code, causes = whys(events)
    assert code == "dhcp-not-taken"
    assert causes[0].startswith("10.0.0.1")
    assert not [cause for cause in causes[1:] if "DHCP server" in cause]


@pytest.mark.parametrize(
    ("links", "code"),
    [
        ([carrier(False)], "host-no-link"),
        ([carrier(True), event(2.5, "run", "link.carrier", carrier=False)], "host-no-link"),
        ([carrier(False), event(2.5, "run", "link.carrier", carrier=True)], "no-dhcp"),
    ],
)
def test_the_link_of_this_host_counts_as_it_is_last(links: list[Event], code: str) -> None:
    assert decide(sorted([*links, ON, TEXT], key=lambda each: each.at_s))[0].code == code


@pytest.mark.parametrize(
    ("arch", "code"),
    [(None, "dhcp-no-file"), (7, "dhcp-ignored"), (11, "dhcp-ignored"), (16, "dhcp-ignored")],
)
def test_an_address_without_a_file_says_who_asked(arch: int | None, code: str) -> None:
    known = {} if arch is None else {"arch": arch}
    asked = [ON, dhcp(3.0, "discover", **known), dhcp(3.1, "offer"), dhcp(3.3, "ack", file=None)]
    verdict, _ = decide(asked)
    assert (verdict.code, verdict.stage) == (code, Stage.FIRMWARE)
    assert (arch is None) == ("as architecture unknown" in verdict.cause)


@pytest.mark.parametrize("firmware", list(Firmware))
@pytest.mark.parametrize("vendor", [None, "PXEClient", "udhcp 1.36"])
def test_a_board_that_does_not_say_what_it_is_is_told_of_option_93(
    firmware: Firmware, vendor: str | None
) -> None:
    known = {} if vendor is None else {"vendor_class": vendor}
    asked = [ON, dhcp(3.0, "discover", **known), dhcp(3.1, "offer"), dhcp(3.3, "ack", file=None)]
    again = [dhcp(9.0, "discover", **known), dhcp(9.1, "offer"), dhcp(9.3, "ack", file=None)]
    for events in (asked, [*asked, *again]):
        verdict, _ = decide(events, replace(BIOS, firmware=firmware))
        assert verdict.code == "dhcp-no-file"
        assert "option 93" in verdict.causes[0][0] and "--firmware" in verdict.causes[0][1]


def test_a_boot_that_an_error_ended_quotes_the_log_before_the_usual_guess() -> None:
    went_off = LabError("b1 went off while it was booting", hint="the power supply, or the image itself")
    usual = ("", "the power supply, or the image itself")
    assert progress(STARTED).failed(went_off, 9.0).causes == (usual,)
    told = progress([*STARTED, logged("thermal")]).failed(went_off, 9.0).causes
    assert [why for why, _ in told] == ["the BMC logged what the thermal did", ""]


@pytest.mark.parametrize("kind", ["memory", "watchdog", "power"])
def test_a_failure_that_the_console_tells_stays_the_cause_and_the_log_is_quoted_after_it(kind: str) -> None:
    aborted = failed(8.0, "seL4 root server abort()ed")
    verdict, _ = decide([*STARTED, aborted, logged(kind)])
    assert verdict.kind == "image"
    assert [why for why, _ in verdict.causes][1:] == [f"the BMC logged what the {kind} did"]
