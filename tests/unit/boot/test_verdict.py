"""Lists of events and the verdicts they must come to."""

from __future__ import annotations

import json
from dataclasses import replace
from string import Formatter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bringup.base.errors import AuthenticationError, InterruptedRunError, UsageError
from bringup.base.events import Event, Source
from bringup.base.firmware import Firmware
from bringup.base.stage import Stage
from bringup.boot.causes.table import TABLE
from bringup.boot.progress import Progress
from bringup.boot.verdict import Verdict
from bringup.boot.watch_request import WatchRequest
from bringup.jobs.capture.errand import FIRMWARE_REPORT, LINUX_CAPTURE
from bringup.profile.advice import BoardWords
from bringup.profile.load import load_profile
from bringup.transcript.failures.table import FAILURES, GARBAGE
from bringup.transcript.markers import HAND_OVER
from bringup.transcript.vms import VmNames

MAC = "ac:1f:6b:0e:30:17"
LIMITS = {
    Stage.POWER: 10.0,
    Stage.FIRMWARE: 60.0,
    Stage.DHCP: 30.0,
    Stage.LOADER: 20.0,
    Stage.KERNEL_IMAGE: 15.0,
    Stage.MODULES: 15.0,
    Stage.KERNEL: 12.0,
    Stage.USER_SPACE: 25.0,
    Stage.VMM: 40.0,
    Stage.GUEST: 41.0,
    Stage.LOGIN: 42.0,
}
BIOS = WatchRequest(Firmware.BIOS, macs=(MAC,), limits=LIMITS)
PATIENT = replace(BIOS, limits={**LIMITS, Stage.KERNEL: 90.0})
TWO_VMS = replace(BIOS, until=Stage.LOGIN, vms=2)


def event(at_s: float, source: Source, kind: str, text: str = "", **data: Any) -> Event:
    return Event(source, kind, text, data, at_s)


def on(at_s: float) -> Event:
    return event(at_s, "power", "power.state", "off → on, confirmed", state="on")


def off(at_s: float) -> Event:
    return event(at_s, "power", "power.state", state="off")


def said(at_s: float, stage: Stage, marker: str = "m", line: int = 1, vm: int | None = None) -> Event:
    return event(at_s, "console", "console.stage", marker, stage=str(stage), marker=marker, line=line, vm=vm)


def failed(at_s: float, text: str, line: int = 41) -> Event:
    row = next(row for row in (*FAILURES, GARBAGE) if row.text == text)
    return event(at_s, "console", "console.failure", text, code=row.code, marker=text, line=line, vm=None)


def dhcp(at_s: float, name: str, mac: str = MAC, **data: Any) -> Event:
    return event(at_s, "dhcp", f"dhcp.{name}", mac=mac, **data)


def heard(at_s: float, text: int) -> Event:
    """`text` bytes came since the loader spoke, the last of them now."""
    return event(at_s, "console", "console.activity", bytes=1000 + text, image_bytes=text, quiet_s=0.0)


def ran(at_s: float, number: int | None, name: str, failed: bool = False) -> Event:
    return event(at_s, "console", "console.test", name, number=number, name=name, failed=failed)


def http(at_s: float, name: str, path: str, role: str) -> Event:
    return event(at_s, "http", f"http.{name}", path=path, role=role)


def tftp(at_s: float, name: str, path: str, **data: Any) -> Event:
    return event(at_s, "tftp", f"tftp.{name}", path=path, **data)


SERVED = [
    off(0.5),
    on(1.0),
    dhcp(3.0, "discover", arch=0, vendor_class="PXEClient:Arch:00000"),
    dhcp(3.1, "offer"),
    dhcp(3.2, "request"),
    dhcp(3.3, "ack", file="core.0"),
    tftp(3.4, "start", "core.0"),
    tftp(4.0, "done", "core.0", role="loader"),
    http(4.1, "start", "/kernel", "kernel"),
    http(4.2, "done", "/kernel", "kernel"),
    http(4.3, "start", "/root", "module"),
    http(6.0, "done", "/root", "module"),
]
BANNER = "Boot config: disable_iommu = "
STARTED = [*SERVED, said(6.5, Stage.KERNEL, BANNER, 20)]
GOOD = [*STARTED, said(7.0, Stage.USER_SPACE, "Booting all finished, dropped to user space", 41)]
VMS = [
    *GOOD,
    said(8.0, Stage.VMM, "e820", 50, 0),
    said(8.1, Stage.VMM, "e820", 51, 1),
    said(9.0, Stage.GUEST, "Linux version 6.1", 60, 0),
    said(9.1, Stage.GUEST, "Linux version 6.1", 61, 1),
]


def progress(events: list[Event], request: WatchRequest = BIOS) -> Progress:
    result = Progress(request, origin_s=0.0)
    for item in events:
        result.feed(item)
    return result


def decide(events: list[Event], request: WatchRequest = BIOS) -> tuple[Verdict, float]:
    """Let time pass from deadline to deadline until there is a verdict; return it and when."""
    boot = progress(events, request)
    now_s = events[-1].at_s
    for _ in range(20):
        verdict = boot.decide(now_s)
        if verdict is not None:
            return verdict, now_s
        deadline_s = boot.next_deadline_s
        assert deadline_s is not None, "waits for ever"
        assert deadline_s > now_s, "asks to be called again at once"
        now_s = deadline_s
    raise AssertionError("no verdict")


FETCHED = [
    *SERVED[:6],
    http(4.1, "start", "/boot.efi", "boot-image"),
    http(6.0, "done", "/boot.efi", "boot-image"),
]
UEFI = replace(BIOS, firmware=Firmware.UEFI)


def spoke_on_com1(at_s: float) -> Event:
    """Firmware and loaders may speak on every port."""
    data = {"port": "COM1", "bytes": 900, "image_bytes": 900, "quiet_s": 0.0}
    return event(at_s, "console", "console.activity", **data)


def test_a_boot_image_is_loader_kernel_and_modules() -> None:
    assert [reached.stage for reached in progress(FETCHED, UEFI).stages] == [
        Stage.POWER,
        Stage.FIRMWARE,
        Stage.DHCP,
        Stage.LOADER,
        Stage.KERNEL_IMAGE,
        Stage.MODULES,
    ]


def test_a_boot_image_without_modules() -> None:
    verdict, _ = decide(FETCHED, replace(UEFI, modules=0))
    assert (verdict.stage, verdict.missing) == (Stage.KERNEL_IMAGE, Stage.KERNEL)


def test_a_boot_image_that_stalls_is_a_transfer() -> None:
    verdict, now_s = decide([*FETCHED[:7], http(9.0, "progress", "/boot.efi", "boot-image")], UEFI)
    assert (verdict.code, verdict.missing, now_s) == ("loader-stalled", Stage.LOADER, 29.0)


def test_before_grub_hands_over_no_port_is_the_images() -> None:
    """Firmware and GRUB still talk when the boot image was fetched, on whatever port."""
    verdict, _ = decide([*FETCHED, said(7.5, Stage.FIRMWARE), spoke_on_com1(9.0)], UEFI)
    assert verdict.code == "kernel-silent"
    over = [*FETCHED, said(7.5, Stage.LOADER, HAND_OVER), spoke_on_com1(9.0)]
    assert decide(over, UEFI)[0].code == "other-port"


def test_what_grub_says_of_a_boot_image_is_progress() -> None:
    verdict, now_s = decide([*FETCHED, said(15.0, Stage.LOADER, "bringup: loading module")], UEFI)
    assert (verdict.missing, now_s) == (Stage.KERNEL, 27.0)


def test_text_before_the_hand_over_is_no_user_space() -> None:
    quiet = replace(UEFI, prints=False)
    assert decide([*FETCHED, heard(8.0, 200)], quiet)[0].kind != "ok"
    over = [*FETCHED, said(7.5, Stage.LOADER, HAND_OVER), heard(8.0, 200)]
    assert decide(over, quiet)[0].kind == "ok"


def test_good_boot() -> None:
    verdict, now_s = decide(GOOD)
    assert (verdict.kind, verdict.exit_code, verdict.stage, verdict.missing) == (
        "ok",
        0,
        Stage.USER_SPACE,
        None,
    )
    assert (verdict.at_s, now_s) == (7.0, 7.5)
    assert [(r.stage, r.at_s) for r in verdict.stages] == [
        (Stage.POWER, 1.0),
        (Stage.FIRMWARE, 3.0),
        (Stage.DHCP, 3.3),
        (Stage.LOADER, 4.0),
        (Stage.KERNEL_IMAGE, 4.2),
        (Stage.MODULES, 6.0),
        (Stage.KERNEL, 6.5),
        (Stage.USER_SPACE, 7.0),
    ]
    assert verdict.stages[-1].evidence == 'console line 41: "Booting all finished, dropped to user space"'


def test_times_count_from_the_run() -> None:
    boot = Progress(BIOS, origin_s=1000.0)
    for item in GOOD:
        boot.feed(replace(item, at_s=item.at_s + 1000.0))
    verdict = boot.decide(1010.0)
    assert verdict is not None
    assert verdict.at_s == 7.0
    assert verdict.stages[0].at_s == 1.0


def test_json_has_the_agreed_keys() -> None:
    request = replace(BIOS, words=load_profile("supermicro-e300-9d").words())
    body = json.loads(
        json.dumps(decide([*STARTED, failed(6.6, "vt-x: not supported")], request)[0].to_dict())
    )
    assert body["verdict"] == "image"
    assert (body["stage"], body["missing"], body["code"], body["exit_code"]) == (
        "kernel",
        "user-space",
        "vtx",
        11,
    )
    assert body["seen"] == 'console line 41: "vt-x: not supported"'
    assert body["cause"] == "the kernel needs VT-x and this CPU shows none"
    assert body["causes"][0]["fix"].startswith("BIOS: Advanced > CPU Configuration")
    assert body["stages"][0] == {"name": "power", "at_s": 1.0, "evidence": "off → on, confirmed"}


def test_causes_have_the_words_of_the_board_that_boots() -> None:
    silent = SERVED
    nobodys, _ = decide(silent)
    assert "console_port=PORT debug_port=PORT on the kernel command line" in told(nobodys)
    request = replace(BIOS, words=BoardWords({"sol-console": "menu > SOL = On"}, 0x3F8))
    board, _ = decide(silent, request)
    assert "console_port=0x3f8 debug_port=0x3f8 on the kernel command line" in told(board)
    assert "menu > SOL = On" in told(board)
    assert "firmware setup: switch on console redirection to Serial-over-LAN" in told(nobodys)


def told(verdict: Verdict) -> list[str]:
    return [fix for _, fix in verdict.causes]


def test_vms_are_awaited_one_by_one() -> None:
    one = [*VMS, said(10.0, Stage.LOGIN, "login:", 70, 1)]
    verdict, _ = decide(one, TWO_VMS)
    assert (verdict.code, verdict.stage, verdict.missing) == ("no-login", Stage.GUEST, Stage.LOGIN)
    assert verdict.cause.startswith("1 of 2 VMs reached a login prompt")
    same = [*one, said(10.5, Stage.LOGIN, "login:", 71, 1)]
    assert decide(same, TWO_VMS)[0].code == "no-login"
    both = [*one, said(11.0, Stage.LOGIN, "login:", 72, 0)]
    verdict, now_s = decide(both, TWO_VMS)
    assert (verdict.kind, verdict.at_s, now_s) == ("ok", 11.0, 11.5)


def test_release_image_prints_no_kernel_lines() -> None:
    request = replace(BIOS, until=Stage.USER_SPACE, vms=1, prints=False)
    boot = [*SERVED, said(9.0, Stage.VMM, "Final e820 map is:", 5, 0)]
    verdict, _ = decide(boot, request)
    assert verdict.kind == "ok"
    inferred = {r.stage: r for r in verdict.stages}[Stage.USER_SPACE]
    assert (inferred.at_s, inferred.evidence) == (None, "inferred from vmm")
    silent, now_s = decide(SERVED, request)
    assert (silent.code, silent.kind) == ("nothing-printed", "undecided")
    assert now_s == 6.0 + LIMITS[Stage.KERNEL] + LIMITS[Stage.USER_SPACE]


def test_bare_linux_has_no_vms() -> None:
    request = replace(BIOS, kind="linux", until=Stage.LOGIN, modules=1)
    linux = [
        *SERVED[:-2],
        http(5.0, "done", "/initrd", "initrd"),
        said(6.5, Stage.KERNEL, "Linux version 6.1"),
        said(8.0, Stage.LOGIN, "debian login:"),
    ]
    verdict, _ = decide(linux, request)
    assert verdict.kind == "ok"
    assert Stage.VMM not in {r.stage for r in verdict.stages}


STALLS: list[tuple[str, list[Event], WatchRequest, str, str, Stage | None, float]] = [
    ("power", [off(0.5)], BIOS, "no-power", "lab", Stage.POWER, 10.0),
    ("nothing", SERVED[:2], BIOS, "no-sign-of-life", "lab", Stage.FIRMWARE, 91.0),
    ("bios text only", [*SERVED[:2], said(5.0, Stage.FIRMWARE)], BIOS, "no-dhcp", "lab", Stage.DHCP, 35.0),
    ("bytes only", [on(1.0), event(4.0, "console", "console.activity", bytes=9)], BIOS, "no-dhcp", "lab",
     Stage.FIRMWARE, 91.0),
    ("unanswered", SERVED[:3], BIOS, "dhcp-unanswered", "lab", Stage.DHCP, 33.0),
    ("not taken", SERVED[:4], BIOS, "dhcp-not-taken", "lab", Stage.DHCP, 33.0),
    ("offered", [on(1.0), dhcp(3.0, "discover", arch=7), dhcp(3.1, "offer")], BIOS, "dhcp-ignored",
     "profile", Stage.DHCP, 18.0),
    ("other arch", [on(1.0), dhcp(3.0, "discover", arch=7), dhcp(3.1, "ignored")], BIOS, "dhcp-ignored",
     "profile", Stage.DHCP, 18.0),
    ("other arch again", [on(1.0), dhcp(3.0, "discover", arch=7), dhcp(7.0, "discover", arch=7)], BIOS,
     "dhcp-ignored", "profile", Stage.DHCP, 18.0),
    ("http boot may be followed by pxe", [on(1.0), dhcp(3.0, "discover", arch=16)],
     replace(BIOS, firmware=Firmware.UEFI), "dhcp-ignored", "profile", Stage.DHCP, 33.0),
    ("the right firmware after the other", [on(1.0), dhcp(3.0, "discover", arch=7),
     dhcp(17.0, "discover", arch=0)], BIOS, "dhcp-unanswered", "lab", Stage.DHCP, 33.0),
    ("no loader", SERVED[:6], BIOS, "loader-not-fetched", "lab", Stage.LOADER, 23.3),
    ("loader stalls", SERVED[:7], BIOS, "loader-stalled", "lab", Stage.LOADER, 23.4),
    ("no kernel", SERVED[:8], BIOS, "kernel-not-fetched", "lab", Stage.KERNEL_IMAGE, 19.0),
    ("kernel stalls", SERVED[:9], BIOS, "transfer-stalled", "lab", Stage.KERNEL_IMAGE, 19.1),
    ("no module", SERVED[:10], BIOS, "module-not-fetched", "lab", Stage.MODULES, 19.2),
    ("module stalls", [*SERVED[:11], http(9.0, "progress", "/root", "module")], BIOS, "transfer-stalled",
     "lab", Stage.MODULES, 24.0),
    ("console silent", SERVED, BIOS, "console-silent", "profile", Stage.KERNEL, 18.0),
    ("kernel silent", [*SERVED[:4], said(3.15, Stage.FIRMWARE), *SERVED[4:]], BIOS, "kernel-silent",
     "profile", Stage.KERNEL, 18.0),
    ("console lost", [*SERVED, event(6.1, "console", "console.lost", reason="x")], BIOS, "console-lost",
     "lab", Stage.KERNEL, 18.0),
    ("console held", [event(0.1, "console", "console.held"), *SERVED], BIOS, "console-held", "undecided",
     Stage.KERNEL, 18.0),
    ("console held, a patient profile", [event(0.1, "console", "console.held"), *SERVED], PATIENT,
     "console-held", "undecided", Stage.KERNEL, 22.0),
    ("console held, vms take their time", [event(0.1, "console", "console.held"), *SERVED],
     replace(PATIENT, until=Stage.LOGIN, vms=2), "console-held", "undecided", Stage.KERNEL, 96.0),
    ("unknown text", [*SERVED, heard(8.0, 200)], BIOS, "unknown-text", "undecided", Stage.KERNEL, 20.0),
    ("unknown text goes on", [*SERVED, heard(8.0, 200), heard(17.0, 400)], BIOS, "unknown-text", "undecided",
     Stage.KERNEL, 29.0),
    ("other port", [*SERVED, replace(said(7.0, Stage.KERNEL), data={**said(7.0, Stage.KERNEL).data,
     "port": "COM1"})], BIOS, "other-port", "profile", Stage.KERNEL, 12.0),
    ("text missing", GOOD, replace(BIOS, until_texts=("42",), texts_s=30.0), "text-missing", "image", None,
     37.0),
    ("suite silent", [*GOOD, ran(8.0, 1, "SCHED0000")], replace(BIOS, by_itself=True, texts_s=30.0),
     "suite-silent", "image", None, 38.0),
    ("suite without VMs", [*GOOD, ran(8.0, 1, "SCHED0000")], TWO_VMS, "stage-impossible", "profile",
     Stage.VMM, 8.0),
    ("kernel hangs, or its text is in a gap", [*STARTED, event(20.0, "console", "console.gap", seconds=13.2)],
     BIOS, "console-gap", "undecided", Stage.USER_SPACE, 31.5),
    ("kernel hangs", STARTED, BIOS, "kernel-hangs", "image", Stage.USER_SPACE, 31.5),
    ("no vmm", GOOD, TWO_VMS, "no-vmm", "image", Stage.VMM, 47.0),
    ("no guest", VMS[:-2], TWO_VMS, "no-guest", "image", Stage.GUEST, 49.1),
    ("no login", VMS, TWO_VMS, "no-login", "image", Stage.LOGIN, 51.1),
]  # fmt: skip


@pytest.mark.parametrize(
    ("events", "request_", "code", "kind", "missing", "now_s"),
    [row[1:] for row in STALLS],
    ids=[r[0] for r in STALLS],
)
def test_silence(
    events: list[Event], request_: WatchRequest, code: str, kind: str, missing: Stage | None, now_s: float
) -> None:
    verdict, decided_s = decide(events, request_)
    assert (verdict.code, verdict.kind, verdict.missing) == (code, kind, missing)
    assert decided_s == pytest.approx(now_s)
    assert 1 <= len(verdict.causes) <= 3
    assert "{" not in verdict.cause


def test_regained_console_is_not_lost() -> None:
    gap = [event(6.1, "console", "console.lost"), event(7.0, "console", "console.gap", seconds=0.9)]
    assert decide([*SERVED, *gap])[0].code == "console-silent"


def gap(at_s: float, seconds: float) -> Event:
    return event(at_s, "console", "console.gap", seconds=seconds)


@pytest.mark.parametrize(
    ("events", "request_", "seconds"),
    [
        ([*STARTED, gap(7.5, 0.5), gap(12.0, 3.0)], BIOS, 3.5),
        # It began before the last line that was seen, which came after it had begun.
        ([*STARTED, gap(8.0, 7.0)], BIOS, 1.5),
        ([*SERVED[:4], said(3.15, Stage.FIRMWARE), *SERVED[4:], gap(7.0, 0.5)], BIOS, 0.5),
        ([*GOOD, gap(9.0, 1.0)], TWO_VMS, 1.0),
        ([*GOOD, gap(9.0, 1.0)], replace(BIOS, until_texts=("42",), texts_s=30.0), 1.0),
        # Of several VMs the missing one may have had its prompt before the others had theirs.
        ([*VMS[:-2], gap(8.6, 0.4), *VMS[-2:], said(10.0, Stage.LOGIN, "login:", 70, 1)], TWO_VMS, 0.4),
    ],
)
def test_what_may_have_come_in_a_gap_is_undecided(
    events: list[Event], request_: WatchRequest, seconds: float
) -> None:
    verdict, _ = decide(events, request_)
    assert (verdict.kind, verdict.exit_code, verdict.code) == ("undecided", 3, "console-gap")
    assert f"{seconds:.1f} s that the console has lost" in verdict.cause


@pytest.mark.parametrize(
    ("events", "code"),
    [
        ([*SERVED, gap(6.2, 0.1), said(6.5, Stage.KERNEL, BANNER, 20)], "kernel-hangs"),
        ([*SERVED[:4], gap(3.15, 0.1)], "dhcp-not-taken"),
        ([gap(0.8, 20.0), *STARTED], "kernel-hangs"),
    ],
)
def test_a_gap_before_what_was_seen_excuses_nothing(events: list[Event], code: str) -> None:
    assert decide(events)[0].code == code


def test_after_a_gap_a_guest_that_asks_by_dhcp_proves_what_it_needs() -> None:
    request = replace(BIOS, until=Stage.GUEST)
    asked = dhcp(20.0, "discover", vendor_class="udhcp")
    assert decide([*STARTED, asked], request)[0].kind == "image"
    verdict, _ = decide([*STARTED, gap(12.0, 3.0), asked], request)
    assert (verdict.kind, verdict.stage) == ("ok", Stage.GUEST)


def test_after_a_gap_an_answer_at_the_prompt_proves_user_space() -> None:
    watched = progress([*STARTED, gap(12.0, 3.0)])
    assert not watched.prompt_due(16.9)
    assert watched.prompt_due(17.1) and not watched.prompt_due(17.2)
    assert not watched.prompt_due(37.0) and watched.prompt_due(37.2)
    answer = event(17.4, "console", "console.answered", "# ")
    verdict, _ = decide([*STARTED, gap(12.0, 3.0), answer])
    assert (verdict.kind, verdict.stage) == ("ok", Stage.USER_SPACE)
    assert verdict.stages[-1].evidence == 'answered Enter: "# "'


@pytest.mark.parametrize("events", [STARTED, [*SERVED, gap(7.0, 0.5)], [*STARTED[:4], gap(12.0, 3.0)]])
def test_enter_is_typed_only_to_a_kernel_that_runs_and_only_after_a_gap(events: list[Event]) -> None:
    assert not progress(events).prompt_due(60.0)


def test_silence_is_counted_from_the_end_of_a_gap() -> None:
    request = replace(BIOS, by_itself=True)
    _, now_s = decide([*GOOD, gap(10.0, 2.0)], request)
    assert now_s == pytest.approx(15.0)


def test_sentences_name_board_and_seconds() -> None:
    verdict, _ = decide([*SERVED[:2], said(5.0, Stage.FIRMWARE)])
    assert verdict.cause == f"no DHCP request from {MAC} within 34 s of power-on"
    other = dhcp(6.0, "ignored", mac="02:00:00:00:00:01")
    verdict, _ = decide([*SERVED[:2], said(5.0, Stage.FIRMWARE), other])
    assert verdict.causes[0][0] == "02:00:00:00:00:01 asked instead"
    assert decide([on(1.0), dhcp(3.0, "discover", arch=7), dhcp(3.1, "ignored")])[0].cause.endswith(
        "as architecture 7, and this boot serves BIOS"
    )


FATAL: list[tuple[str, list[Event], str, str, str]] = [
    ("cause before the general line",
     [failed(6.6, "vt-x: feature locked"), failed(6.61, "boot_sys failed for some reason :(", 42),
      failed(6.62, "halting...", 44)], "vtx-locked", "profile", "feature locked"),
    ("general line first",
     [failed(6.6, "halting..."), failed(6.8, "seL4 failed assertion '", 45)],
     "kernel-assertion", "image", "line 45"),
    ("only the general line", [failed(6.6, "halting...")], "halted", "image", "halting..."),
    ("a harmless failure just before",
     [failed(6.6, "Invalid IOAPIC pin"), failed(6.7, "halting...")], "no-irq", "profile", "IOAPIC"),
    ("a harmless failure long before",
     [failed(6.6, "disabling IOMMU support"), failed(12.0, "halting...")], "halted", "image", "halting"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("failures", "code", "kind", "seen"), [r[1:] for r in FATAL], ids=[r[0] for r in FATAL]
)
def test_failure_on_the_console(failures: list[Event], code: str, kind: str, seen: str) -> None:
    verdict, now_s = decide([*STARTED, *failures])
    assert (verdict.code, verdict.kind) == (code, kind)
    assert verdict.seen is not None
    assert seen in verdict.seen
    assert now_s <= failures[-1].at_s + 0.5


def test_user_space_that_dies_at_once_has_not_arrived() -> None:
    verdict, now_s = decide([*GOOD, failed(7.3, "Caught cap fault in")])
    assert (verdict.code, verdict.stage, now_s) == ("thread-fault", Stage.USER_SPACE, 7.8)
    late = progress(GOOD)
    verdict = late.decide(7.5)
    assert verdict is not None
    assert verdict.kind == "ok"


def test_harmless_failure_does_not_end_a_boot_and_explains_a_stall() -> None:
    harmless = [*STARTED, failed(6.6, "disabling IOMMU support", 12)]
    assert decide([*harmless, *GOOD[-1:]])[0].kind == "ok"
    verdict, _ = decide(harmless)
    assert verdict.code == "kernel-hangs"
    assert verdict.seen == 'console line 12: "disabling IOMMU support"'
    assert verdict.causes[0][0].startswith("the firmware's DMAR table")


def test_firmware_that_gives_up_is_judged_by_what_is_missing() -> None:
    verdict, now_s = decide([*SERVED[:3], failed(20.0, "No bootable device", 9)])
    assert (verdict.code, verdict.kind, verdict.missing) == ("dhcp-unanswered", "lab", Stage.DHCP)
    assert (verdict.seen, now_s) == ('console line 9: "No bootable device"', 25.0)
    again = [*SERVED[:3], failed(3.05, "No bootable device"), *GOOD[3:]]
    assert decide(again)[0].kind == "ok"


def test_garbage_is_no_matter_until_the_kernel_should_speak() -> None:
    noise = failed(2.0, GARBAGE.text)
    assert decide([on(1.0), noise, *GOOD[2:]])[0].kind == "ok"
    verdict, now_s = decide([on(1.0), noise, *SERVED[2:]])
    assert (verdict.code, verdict.kind, now_s) == ("garbage", "profile", 9.0)
    verdict, now_s = decide([*STARTED, failed(6.8, GARBAGE.text)])
    assert (verdict.code, now_s) == ("garbage", 9.8)


REBOOTS = {
    "firmware text": said(8.0, Stage.FIRMWARE, "SeaBIOS (version "),
    "loader text": said(8.0, Stage.LOADER, "Welcome to GRUB!"),
    "kernel banner": said(8.0, Stage.KERNEL, BANNER, 90),
    "network boot": dhcp(8.0, "discover", arch=0, vendor_class="PXEClient:Arch:00000"),
}


@pytest.mark.parametrize("again", REBOOTS.values(), ids=REBOOTS.keys())
def test_reboot_is_told_at_once(again: Event) -> None:
    verdict, now_s = decide([*STARTED, again])
    assert (verdict.code, verdict.kind, verdict.stage, now_s) == ("reboot-loop", "image", Stage.KERNEL, 8.0)


def test_reboot_without_a_word_from_the_kernel() -> None:
    assert decide([*SERVED, REBOOTS["network boot"]])[0].code == "reboot-loop"


def test_crash_says_more_than_the_reboot_it_ends_in() -> None:
    crash = failed(7.9, "seL4 failed assertion '")
    assert decide([*STARTED, crash, REBOOTS["firmware text"]])[0].code == "kernel-assertion"


def test_what_asks_for_an_address_later_is_no_reboot() -> None:
    for later in (dhcp(8.0, "discover", vendor_class="udhcp 1.36"), dhcp(8.0, "discover")):
        assert decide([*STARTED, later])[0].code == "kernel-hangs"
    chain = [*SERVED[:8], dhcp(4.05, "discover", arch=0), *GOOD[8:]]
    assert decide(chain)[0].kind == "ok"


def test_what_was_before_power_off_counts_for_nothing() -> None:
    old = [
        on(0.1),
        said(0.2, Stage.KERNEL, BANNER),
        said(0.3, Stage.LOGIN, "old login:"),
        failed(0.4, "halting..."),
    ]
    verdict, _ = decide([*old, *GOOD])
    assert verdict.kind == "ok"
    assert verdict.stages[0].at_s == 1.0
    reset = event(0.6, "power", "power.action", action="reset")
    assert decide([*old, reset, *GOOD[2:]])[0].kind == "ok"
    switched_on = event(0.6, "power", "power.action", action="on")
    assert decide([*old[1:], switched_on, *GOOD[1:]])[0].kind == "ok"


SWITCHED_OFF = event(1.0, "power", "power.state", state="off")
FOUND_ON = [event(0.5, "power", "power.action", action="off"), SWITCHED_OFF]


def switched_on(at_s: float) -> list[Event]:
    return [event(at_s, "power", "power.action", action="on"), on(at_s + 0.2)]


@pytest.mark.parametrize(
    "between",
    [
        [dhcp(2.0, "discover"), dhcp(2.1, "offer"), dhcp(2.2, "request"), dhcp(2.3, "ack")],
        [said(2.0, Stage.FIRMWARE), said(2.5, Stage.KERNEL, "Linux version 6.1")],
        [failed(2.0, "halting...")],
        [event(2.0, "tftp", "tftp.done", role="loader", path="/undionly.kpxe")],
    ],
)
def test_what_comes_between_off_and_on_is_not_of_the_new_boot(between: list[Event]) -> None:
    verdict, _ = decide([*FOUND_ON, *between, *switched_on(4.0)])
    assert (verdict.code, verdict.stage, verdict.seen) == ("no-sign-of-life", Stage.POWER, None)
    # Nor where it is told late: a server's words and a console's count come with a delay.
    started = [*FOUND_ON, *switched_on(4.0), *between]
    assert decide(started)[0].code == "no-sign-of-life"


def test_characters_that_were_counted_before_power_on_are_none_of_the_boot() -> None:
    count = {"bytes": 900, "image_bytes": 900, "line": 3}
    old = event(4.6, "console", "console.activity", "reboot: Power down", **count, quiet_s=2.1)
    verdict, _ = decide([*FOUND_ON, *switched_on(4.0), old])
    assert (verdict.code, verdict.seen) == ("no-sign-of-life", None)
    new = replace(old, at_s=6.0, text="hello", data={**count, "bytes": 950, "quiet_s": 0.1})
    verdict, _ = decide([*FOUND_ON, *switched_on(4.0), old, new])
    assert (verdict.code, verdict.seen) == ("no-dhcp", 'console line 3: "hello"')


def test_a_console_that_is_lost_is_not_judged_before_its_bmc_can_be_told_of() -> None:
    short = replace(BIOS, limits={**LIMITS, Stage.KERNEL: 3.0})
    lost = event(6.5, "console", "console.lost")
    assert decide([*SERVED, lost], short)[1] == 17.5
    boot = progress([*SERVED, lost, event(16.0, "power", "bmc.silent")], short)
    assert boot.decide(100.0) is None


def test_disk_that_boots_instead_is_not_our_image() -> None:
    disk = [on(1.0), said(2.0, Stage.FIRMWARE), said(5.0, Stage.KERNEL, "Linux version 5.10"),
            said(5.2, Stage.USER_SPACE, "Run /init as init process")]  # fmt: skip
    verdict, now_s = decide(disk)
    assert (verdict.code, verdict.kind, now_s) == ("booted-elsewhere", "lab", 6.0)
    late = [*GOOD[:8], said(6.5, Stage.KERNEL, BANNER), said(6.6, Stage.USER_SPACE), *SERVED[8:]]
    assert decide(late)[0].kind == "ok"


def test_servers_that_end_are_this_tools_fault() -> None:
    verdict, _ = decide([*SERVED[:9], event(4.15, "run", "run.servers_lost", reason="x")])
    assert (verdict.code, verdict.kind, verdict.exit_code) == ("servers-lost", "tool", 1)
    assert decide([*GOOD, event(7.1, "run", "run.servers_lost")])[0].kind == "ok"


def test_errors_become_verdicts_of_their_fault() -> None:
    boot = progress(SERVED[:3])
    verdict = boot.failed(AuthenticationError("the BMC refused the user", hint="check lab.toml"), 4.0)
    assert (verdict.kind, verdict.exit_code, verdict.code) == ("lab", 10, "authentication")
    assert (verdict.stage, verdict.missing, verdict.at_s) == (Stage.FIRMWARE, Stage.DHCP, 4.0)
    assert verdict.causes == (("", "check lab.toml"),)
    assert boot.failed(InterruptedRunError("x"), 4.0).exit_code == 130
    assert boot.failed(UsageError("x"), 4.0).exit_code == 2


def test_without_limits_silence_proves_nothing() -> None:
    boot = progress(STARTED, replace(BIOS, limits={}))
    assert boot.next_deadline_s is None
    assert boot.decide(1e9) is None


PROBE = replace(
    BIOS, until=Stage.CAPTURE, kind="linux", errand=LINUX_CAPTURE, limits={**LIMITS, Stage.CAPTURE: 100.0}
)
RAMDISK = [
    *SERVED,
    said(6.5, Stage.KERNEL, "Linux version 6.1", 20),
    said(9.0, Stage.USER_SPACE, "bringup probe: started", 400),
    event(10.0, "console", "console.probe", "drivers loaded"),
]
FINISHED = event(30.0, "console", "console.probe", "finished")
BY_HTTP = event(14.0, "http", "http.upload", "the capture, 31417 bytes by HTTP", bytes=31417)


@pytest.mark.parametrize(
    "arrival",
    [BY_HTTP, event(40.0, "console", "console.upload", "the capture, 31417 bytes over the console")],
)
def test_a_probe_is_done_when_its_capture_has_come(arrival: Event) -> None:
    troubled = [*RAMDISK, failed(11.0, "bringup probe: trouble: no link on", 410), FINISHED]
    # The ramdisk's last word may be read before the capture's arrival is told, or after it.
    for events in (
        [*RAMDISK, arrival],
        [*troubled, replace(arrival, at_s=31.0)],
        [*RAMDISK, arrival, FINISHED],
    ):
        verdict, _ = decide(events, PROBE)
        assert (verdict.kind, verdict.stage) == ("ok", Stage.CAPTURE)
        assert verdict.stages[-1].evidence == arrival.text


def test_a_boot_does_not_wait_for_a_capture() -> None:
    verdict, _ = decide(GOOD)
    assert Stage.CAPTURE not in [reached.stage for reached in verdict.stages]
    assert decide(VMS, replace(TWO_VMS, limits={**LIMITS, Stage.CAPTURE: 1.0}))[0].missing is Stage.LOGIN


def test_a_ramdisk_that_finished_without_its_capture_says_why() -> None:
    trouble = failed(20.0, "bringup probe: trouble: no address by DHCP", 500)
    verdict, now_s = decide([*RAMDISK, trouble, FINISHED], PROBE)
    assert (verdict.kind, verdict.code, verdict.missing) == ("lab", "capture-incomplete", Stage.CAPTURE)
    assert verdict.seen == 'console line 500: "bringup probe: trouble: no address by DHCP"'
    assert verdict.causes[0][1] == "spanning tree: portfast on this port"
    assert now_s == 33.0


def test_a_silent_ramdisk_is_overdue_after_its_last_word() -> None:
    verdict, now_s = decide(RAMDISK, PROBE)
    assert (verdict.kind, verdict.code, now_s) == ("lab", "no-capture", 110.0)
    assert "within 100 s" in verdict.cause
    working = event(50.0, "console", "console.upload_progress", sent=1000, size=30000)
    assert decide([*RAMDISK, working], PROBE)[1] == 150.0


def test_a_capture_that_could_not_be_made_ends_the_wait() -> None:
    verdict, now_s = decide(
        [*RAMDISK, failed(12.0, "bringup probe: trouble: the capture failed", 500)], PROBE
    )
    assert (verdict.code, now_s) == ("probe-collecting", 12.5)


REPORT = replace(
    BIOS,
    until=Stage.CAPTURE,
    modules=0,
    reports=True,
    errand=FIRMWARE_REPORT,
    limits={**LIMITS, Stage.CAPTURE: 100.0},
)
BEGAN = event(7.0, "console", "console.report", "its report begins")


def test_the_firmware_probe_has_no_user_space_to_wait_for() -> None:
    loaded = [*SERVED, said(6.5, Stage.KERNEL, "bringup firmware probe, not seL4", 20)]
    whole = event(9.0, "console", "console.upload", "the firmware's view, 157 frames over the console")
    verdict, _ = decide([*loaded, BEGAN, whole], REPORT)
    assert (verdict.kind, verdict.stage) == ("ok", Stage.CAPTURE)
    assert Stage.USER_SPACE not in [reached.stage for reached in verdict.stages]
    verdict, now_s = decide(loaded, REPORT)
    assert (verdict.kind, verdict.code, verdict.missing, now_s) == ("lab", "no-report", Stage.CAPTURE, 106.5)
    assert "within 100 s" in verdict.cause


def test_frames_prove_that_the_probe_runs_whatever_was_lost_before_them() -> None:
    verdict, now_s = decide([*SERVED, BEGAN], REPORT)
    assert (verdict.code, now_s) == ("no-report", 107.0)
    assert Stage.KERNEL in [reached.stage for reached in verdict.stages]
    more = event(60.0, "console", "console.upload_progress", sent=100, size=157, role="report", unit="frames")
    assert decide([*SERVED, BEGAN, more], REPORT)[1] == 160.0


def test_a_report_that_is_given_up_says_what_is_missing() -> None:
    text = "150 of 157 frames came, frames 12, 15-20 are missing; asked 41 times in vain"
    lost = event(30.0, "console", "console.report_lost", text)
    verdict, now_s = decide([*SERVED, BEGAN, lost], REPORT)
    assert (verdict.kind, verdict.code, now_s) == ("lab", "report-incomplete", 30.0)
    assert verdict.cause == f"the firmware probe's report did not come whole: {text}"
    assert len(verdict.causes) == 3


def test_table_is_complete_and_its_sentences_can_be_filled() -> None:
    names = {"who", "waited", "since_power", "arch", "firmware", "some", "all", "lost"}
    names |= {"missing", "port", "awaited", "where", "suite", "asked", "gaps", "logged", "told"}
    for code, row in {**TABLE, **LINUX_CAPTURE.causes, **FIRMWARE_REPORT.causes}.items():
        assert {name for _, name, _, _ in Formatter().parse(row.cause) if name} <= names, code
        assert 1 <= sum(cause.fits(frozenset()) for cause in row.causes) <= 4, code
        assert all(cause.why and BoardWords().fill(cause.fix) for cause in row.causes)
    assert {row[3] for row in STALLS} | {
        "nothing-printed", "booted-elsewhere", "reboot-loop", "servers-lost",
        "no-capture", "capture-incomplete", "no-report", "report-incomplete", "text-ends", "no-known-end",
        "nothing-known", "nothing-said", "ends-nothing",
        "override-ignored", "override-expired", "override-unproven", "dhcp-no-file",
        "foreign-file", "host-no-link", "watchdog-reset", "board-fault",
    } == {*TABLE, *LINUX_CAPTURE.causes, *FIRMWARE_REPORT.causes}  # fmt: skip


EVENTS = st.lists(
    st.sampled_from([*VMS, *REBOOTS.values(), off(5.0), failed(3.0, "halting...")]), max_size=30
)


@settings(max_examples=200, deadline=None)
@given(EVENTS, st.sampled_from([BIOS, TWO_VMS, replace(BIOS, modules=0), replace(BIOS, netboot=False)]))
def test_any_order_of_events_gives_a_verdict_or_waits(events: list[Event], request_: WatchRequest) -> None:
    boot = progress(events, request_)
    verdict = boot.decide(1e6)
    assert verdict is not None
    json.dumps(verdict.to_dict())
    order = [reached.stage.order for reached in verdict.stages]
    assert order == sorted(order)
    assert (verdict.missing is None) or verdict.stage is None or verdict.stage < verdict.missing
    deadline_s = boot.next_deadline_s
    assert deadline_s is not None
    assert boot.decide(deadline_s) is not None


# What an image is good for, by itself.

ALONE = replace(BIOS, by_itself=True)
SUITE = replace(ALONE, texts_s=60.0)


def suite(at_s: float, marker: str, text: str = "") -> Event:
    return (
        said(at_s, Stage.USER_SPACE, marker, 60)
        if not text
        else replace(said(at_s, Stage.USER_SPACE, marker, 60), text=text)
    )


def test_a_suite_is_done_when_it_says_so() -> None:
    begun = [*GOOD, suite(8.0, "Starting test suite"), ran(9.0, 1, "SCHED0000"), ran(60.0, 2, "SCHED0001")]
    running = progress(begun, SUITE)
    assert running.decide(100.0) is None
    good = [*begun, suite(61.0, "Test suite passed.", "Test suite passed. 2 tests passed."),
            suite(61.1, "All is well in the universe")]  # fmt: skip
    verdict, now_s = decide(good, SUITE)
    assert (verdict.kind, now_s) == ("ok", pytest.approx(61.6))
    assert "2 tests passed" in verdict.cause
    halted = [*good, failed(61.2, "halting...")]
    assert decide(halted, SUITE)[0].kind == "ok"
    bad = [*begun, ran(60.5, None, "SCHED0001", failed=True), failed(61.0, "Test suite failed")]
    verdict, _ = decide(bad, SUITE)
    assert (verdict.kind, verdict.code) == ("image", "tests-failed")
    assert "SCHED0001" in verdict.cause
    assert verdict.to_dict()["suite"]["name"] == "SCHED0001"


def test_an_image_without_a_known_end_is_done_when_it_falls_silent() -> None:
    verdict, now_s = decide(GOOD, ALONE)
    assert (verdict.kind, verdict.at_s, now_s) == ("ok", 7.0, 12.0)
    talks = [*GOOD, heard(9.0, 900), heard(11.5, 1200)]
    assert decide(talks, ALONE)[1] == 16.5
    for_ever = [*GOOD, *(heard(8.0 + n, 900 + n) for n in range(200))]
    assert decide(for_ever, ALONE)[0].kind == "ok"
    late = [*GOOD, failed(11.0, "FAULT HANDLER: data fault from")]
    verdict, _ = decide(late, ALONE)
    assert (verdict.kind, verdict.code) == ("image", "component-fault")


def test_a_success_says_what_it_rests_on() -> None:
    assert decide(GOOD)[0].cause == "reached user-space"
    assert decide(GOOD, ALONE)[0].cause == "reached user-space, then quiet for 5 s"
    for_ever = [*GOOD, *(heard(8.0 + n, 900 + n) for n in range(200))]
    assert decide(for_ever, ALONE)[0].cause.endswith("then watched for 60 s, in which it never fell silent")
    recorded = replace(ALONE, recorded=True)
    assert decide(GOOD, recorded)[0].cause == "reached user-space"
    logins = [*VMS, *(said(10.0 + vm, Stage.LOGIN, "login:", 70, vm) for vm in (1, 0))]
    assert decide(logins, ALONE)[0].cause == "reached login in VM 0, VM 1"
    passed = [*GOOD, suite(8.0, "Starting test suite"), suite(9.0, "All is well in the universe")]
    assert decide(passed, ALONE)[0].cause == "passed its tests: All is well in the universe"
    release = replace(ALONE, prints=False)
    verdict, _ = decide([*SERVED, heard(9.0, 500)], release)
    told = "500 characters after the hand-over, which the kernel does not print"
    assert verdict.cause == f"reached user-space: {told}, then quiet for 5 s"


def test_what_is_waited_for_is_told_for_as_long_as_there_is_no_verdict() -> None:
    assert progress(SERVED, ALONE).waiting == "waiting for kernel"
    assert progress(GOOD, ALONE).waiting == "watching until it has said nothing for 5 s"
    assert progress(GOOD, BIOS).waiting == "watching that it stays up"
    assert progress(GOOD, replace(BIOS, for_s=20.0)).waiting == "watching on for 20 s"
    assert progress(GOOD, replace(SUITE, is_suite=True)).waiting == "waiting for the end of its tests"
    assert progress(GOOD, replace(BIOS, until_texts=("a",))).waiting == "waiting for its text"
    one = [*VMS, said(10.0, Stage.LOGIN, "login:", 70, 1)]
    assert progress(one, TWO_VMS).waiting == "waiting for login, 1 of 2 VMs have it"


def test_one_vm_is_named_where_the_build_names_it() -> None:
    login = replace(said(10.0, Stage.LOGIN, "login:", 70, 0), data={
        **said(10.0, Stage.LOGIN, "login:", 70, 0).data, "vm_name": "vm0"})  # fmt: skip
    request = replace(ALONE, vms=1, vm_names=VmNames(("vm0",)))
    assert decide([*GOOD, login], request)[0].cause == "reached login in vm0"


def test_an_image_of_which_all_is_known_is_not_watched_for_silence() -> None:
    verdict, now_s = decide(GOOD, replace(ALONE, quiet_s=0.0))
    assert (verdict.kind, verdict.cause, now_s) == ("ok", "reached user-space", 7.5)
    talks = [*GOOD, heard(7.2, 900), heard(7.4, 1200)]
    assert decide(talks, replace(ALONE, quiet_s=0.0))[1] == 7.5


def test_what_is_known_to_be_a_suite_waits_for_its_end() -> None:
    request = replace(SUITE, is_suite=True)
    assert progress(GOOD, request).decide(30.0) is None
    verdict, now_s = decide(GOOD, request)
    assert (verdict.code, now_s) == ("suite-silent", 67.0)
    assert "before its first test" in verdict.cause


def test_a_release_image_with_vms_on_no_console_ends_by_the_dhcp_of_a_guest() -> None:
    request = replace(ALONE, prints=False, vms=2)
    asks = dhcp(9.0, "discover", vendor_class="udhcp 1.36")
    verdict, now_s = decide([*SERVED, asks], request)
    assert (verdict.kind, verdict.stage, now_s) == ("ok", Stage.GUEST, 14.0)
    assert verdict.cause == f"reached guest: a guest asks by DHCP: {MAC}, then quiet for 5 s"
    # Guests that are seen on the console must log in.
    speaks = [*SERVED, heard(8.0, 700), asks]
    assert progress(speaks, request).decide(14.5) is None


def test_every_vm_that_shows_itself_must_log_in() -> None:
    one = [*VMS, said(10.0, Stage.LOGIN, "login:", 70, 1)]
    running = progress(one, ALONE)
    assert running.decide(11.0) is None
    assert running.awaited is Stage.LOGIN
    verdict, now_s = decide([*one, said(11.0, Stage.LOGIN, "login:", 71, 0)], ALONE)
    assert (verdict.kind, now_s) == ("ok", 11.5)
    missing, _ = decide(one, ALONE)
    assert missing.code == "no-login"
    assert missing.cause.endswith("; missing: VM 0")


def test_watching_goes_on_after_success_for_as_long_as_was_said() -> None:
    request = replace(BIOS, for_s=20.0)
    assert decide(GOOD, request)[1] == 27.0
    verdict, _ = decide([*GOOD, failed(25.0, "Caught cap fault in")], request)
    assert verdict.code == "thread-fault"


def test_texts_of_a_person_count() -> None:
    def text(at_s: float, which: str, expression: str) -> Event:
        return event(at_s, "console", "console.text", "x", which=which, marker=expression, line=9)

    request = replace(BIOS, by_itself=True, until_texts=("a", "b"), fail_texts=("c",))
    assert progress([*GOOD, text(8.0, "until", "a")], request).decide(9.0) is None
    verdict, now_s = decide([*GOOD, text(8.0, "until", "a"), text(9.0, "until", "b")], request)
    assert (verdict.kind, now_s) == ("ok", 9.5)
    verdict, _ = decide([*GOOD, text(8.0, "fail", "c")], request)
    assert (verdict.kind, verdict.code) == ("image", "fail-text")


def test_release_image_ends_by_text_by_dhcp_or_undecided() -> None:
    request = replace(BIOS, prints=False)
    verdict, _ = decide([*SERVED, heard(9.0, 500)], request)
    assert verdict.kind == "ok"
    assert "500 characters" in verdict.cause
    asks = dhcp(9.0, "discover", vendor_class="udhcp 1.36")
    verdict, _ = decide([*SERVED, asks], request)
    assert verdict.kind == "ok"
    assert "DHCP" in next(r.evidence for r in verdict.stages if r.stage is Stage.GUEST)
    verdict, _ = decide(SERVED, request)
    assert (verdict.kind, verdict.exit_code, verdict.code) == ("undecided", 3, "nothing-printed")


def test_a_failure_on_the_other_port_is_the_cause() -> None:
    refused = failed(6.6, "PCIDs not supported by the processor", 1)
    verdict, _ = decide([*SERVED, replace(refused, data={**refused.data, "port": "COM1"})])
    assert (verdict.kind, verdict.code) == ("image", "cpu-pcid")
    assert verdict.seen == 'COM1 line 1: "PCIDs not supported by the processor"'


def test_limits_wait_while_text_comes_but_not_for_ever() -> None:
    talks = [*STARTED, *(heard(7.0 + n, 900 + n) for n in range(0, 100, 5))]
    boot = progress(talks)
    assert boot.decide(102.0 + 24.0) is None
    verdict = boot.decide(102.0 + 25.0)
    assert verdict is not None and verdict.code == "kernel-hangs"
    endless = progress([*STARTED, *(heard(7.0 + n, 900 + n) for n in range(0, 1000, 5))])
    verdict = endless.decide(1002.0)
    assert verdict is not None and verdict.code == "kernel-hangs"


def test_a_dead_controller_is_a_but_or_strictly_a_failure() -> None:
    fact = {"what": "bar-unmapped", "address": "0000:00:01.0", "name": None, "driver": "igb", "irq": None,
            "more": "", "line": "igb 0000:00:01.0: can't ioremap BAR 0"}  # fmt: skip
    nic = event(9.5, "console", "console.nic", fact["line"] or "", vm_name="vm1", nic=fact)
    up = [*VMS[:-2], nic, said(10.0, Stage.LOGIN, "login:", 70, 0)]
    request = replace(BIOS, until=Stage.LOGIN)
    verdict, _ = decide(up, request)
    assert (verdict.kind, verdict.exit_code) == ("ok", 0)
    assert verdict.buts == ("vm1 igb 0000:00:01.0: its memory could not be mapped",)
    verdict, _ = decide(up, replace(request, strict=True))
    assert (verdict.kind, verdict.code) == ("image", "nic-dead")


def test_a_console_that_was_away_while_the_loader_spoke_is_not_called_silent() -> None:
    loader_s = next(
        e.at_s for e in SERVED if e.kind in ("tftp.start", "tftp.done", "http.start", "http.done")
    )
    away = [event(loader_s - 0.5, "console", "console.lost"), gap(loader_s + 20.0, 20.5)]
    assert decide([*SERVED, *away])[0].code == "console-gap"
