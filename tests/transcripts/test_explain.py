"""Recorded consoles and their verdicts: a table, and what may happen to a text on its way to us."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from bringup.base.firmware import Firmware
from bringup.base.stage import Stage
from bringup.boot.recorded import Recording, judge_recording
from bringup.boot.watch_request import WatchRequest
from bringup.cli import root
from tests.places import SHARED
from tests.transcripts.logs import LINUX, LOGIN, LOGS, SUITE, UNKNOWN, VMM_TEXT

REQUEST = WatchRequest(Firmware.BIOS, by_itself=True)

# Name of the recorded log: verdict, code, stage, words of the cause.
RECORDED = {
    "data/serial/camkes-adder-x86_64": ("ok", "ok", "user-space", "user-space"),
    "data/serial/camkes-vm-3vms-login": ("ok", "ok", "login", "guest 0, guest 1, guest 2"),
    "data/serial/camkes-vm-guest-panic": ("image", "guest-panic", "guest", "VFS: Unable to mount root fs"),
    "data/serial/sel4-x86_64-no-pcid-com1": ("image", "cpu-pcid", None, "PCID"),
    "data/serial/sel4test-kernel-assert": ("image", "kernel-assertion", "kernel", "ksNumCPUs == 99"),
    "data/serial/sel4test-root-vmfault": ("image", "thread-fault", "user-space", "data at 0x8"),
    "data/serial/sel4test-x86_64-full-pass": ("ok", "ok", "user-space", "123 tests passed"),
    "data/transcripts/camkes-vm-minimal-login": ("ok", "ok", "login", "login"),
    "data/transcripts/camkes-vm-minimal-login.timed": ("ok", "ok", "login", "login"),
    "data/transcripts/camkes-vm-minimal-no-vtx": ("image", "vtx", "kernel", "VT-x"),
    "data/transcripts/sel4test-uefi-timer-fails": ("image", "no-timer", "user-space", "timer"),
    "data/transcripts/sel4test-x86_64-qemu": ("ok", "ok", "user-space", "28 tests passed"),
    "cases/console/c05b": ("ok", "ok", "login", "login"),
    "cases/console/c07-1530": ("image", "memory-order", "kernel", "memory map"),
    "cases/console/c08-143": ("image", "cap-slots", "kernel", "capability space"),
    "cases/console/c28-95": ("image", "guest-panic", "guest", "in fpu__init_system_xstate"),
    "cases/console/c29-rumprun": ("image", "check-failed", "user-space", "Failed to allocate notification"),
    "cases/console/c30-fault": ("image", "component-fault", "user-space", "component hello"),
    "cases/console/c32-iomap": ("ok", "ok", "login", "login"),
    "cases/console/c44-10": ("profile", "no-cpu", "kernel", "processor"),
    "cases/console/c44-12": ("profile", "acpi-corrupt", "kernel", "checksum"),
    "cases/console/c44-13": ("image", "cpu-x2apic", "kernel", "x2APIC"),
    "cases/console/c44-14": ("image", "bad-module", "kernel", "root task"),
    "cases/console/c44-15": ("image", "root-task-place", "kernel", "root task"),
    "cases/console/c44-16": ("lab", "no-memory-map", "kernel", "loader"),
    "cases/console/c44-17": ("image", "cpu-huge-pages", "kernel", "1 GiB pages"),
    "cases/console/c44-18": ("image", "cpu-ibrs", "kernel", "IBRS"),
    "cases/console/c44-2": ("image", "cpu-xsave-mask", "kernel", "0x7"),
    "cases/console/c44-3": ("image", "cpu-xsave", "kernel", "XSAVE"),
    "cases/console/c44-4": ("image", "cap-slots", "kernel", "capability space"),
    "cases/console/c44-6": ("image", "memory-order", "kernel", "memory map"),
    "cases/console/c44-7": ("image", "memory-regions", "kernel", "memory regions"),
    "cases/console/c44-8": ("image", "untyped-caps", "kernel", "device region #3"),
    "cases/console/c44-9": ("image", "memory-dropped", "kernel", "memory"),
    "cases/console/c58-1726": ("image", "no-memory", "kernel", "2^22"),
    "cases/console/d6": ("ok", "ok", "login", "login"),
    "cases/console/d7": ("image", "guest-panic", "guest", "Attempted to kill the idle task"),
    "cases/console/root-exception-classic": ("image", "thread-fault", "user-space", "user exception 0x6"),
    "cases/console/root-vmfault-classic": ("image", "thread-fault", "user-space", "data at 0x8"),
}
DEAD = {"c05b": "interrupt", "c32-iomap": "where the guest has RAM", "d6": "could not be mapped"}


def judged(data: bytes, **changes: object) -> Recording:
    return judge_recording([data], WatchRequest(Firmware.BIOS, **{"by_itself": True, **changes}))  # type: ignore[arg-type]


def recorded(name: str) -> bytes:
    path = SHARED / f"{name}.log"
    if not path.is_file():
        pytest.skip(f"no recorded console {path.name} beside this checkout")
    return path.read_bytes()


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_console_gets_the_right_verdict(name: str) -> None:
    kind, code, stage, words = RECORDED[name]
    verdict = judged(recorded(name)).verdict
    assert (verdict.kind, verdict.code, verdict.stage and str(verdict.stage)) == (kind, code, stage)
    assert words in verdict.cause


@pytest.mark.parametrize("name", DEAD)
def test_login_with_a_dead_controller_is_ok_but(name: str) -> None:
    data = recorded(f"cases/console/{name}")
    verdict = judged(data).verdict
    assert verdict.kind == "ok"
    assert DEAD[name] in verdict.buts[0]
    assert verdict.causes
    strict = judged(data, strict=True).verdict
    assert (strict.kind, strict.code, strict.exit_code) == ("image", "nic-dead", 11)


def test_a_login_beside_a_device_that_was_refused_memory_is_ok_but() -> None:
    fault = "IOMMU: DMA read page fault from 0x1701 (bus: 0x17/dev: 0x0/fun: 0x1) on address 0x0:1f3c000\n"
    data = (UNKNOWN + VMM_TEXT + LINUX + LOGIN + "\n" + fault).encode()
    verdict = judged(data).verdict
    assert (verdict.kind, verdict.buts) == ("ok", ("17:00.1 read memory that it was not given at 1f3c000",))
    assert "exclude_paddr" in verdict.causes[0][1]
    assert judged(data, strict=True).verdict.code == "iommu-fault"


def test_advice_fits_the_kind_of_case() -> None:
    def fix(name: str) -> str:
        return " ".join(map(" ".join, judged(recorded(f"cases/console/{name}")).verdict.causes))

    assert "x86_64" in fix("c07-1530") and "seL4#1530" in fix("c07-1530")
    assert "x86_64" not in fix("c44-6")
    assert "KernelRootCNodeSizeBits" in fix("c08-143")
    assert "noxsave" in fix("c28-95") and "noxsave" not in fix("d7")
    assert "Unimplemented" in fix("c29-rumprun")
    assert "guest_ram_mb" in fix("c32-iomap") and "guest_ram_mb" not in fix("d6")
    assert "0x3" in fix("c44-2")
    assert "MAX_NUM_FREEMEM_REG" in fix("c44-9")
    assert "seL4#1726" in fix("c58-1726")


@pytest.mark.parametrize("name", LOGS)
def test_own_log_gets_the_right_verdict(name: str) -> None:
    log = LOGS[name]
    verdict = judged(log.text.encode()).verdict
    assert (verdict.kind, verdict.code, verdict.stage) == (log.kind, log.code, log.stage)
    assert log.cause in verdict.cause


# What happens to a text on its way: it is cut off, mixed, drawn again, stamped, quoted.

Change = Callable[[str, random.Random], str]


def _stamped(stamp: Callable[[int, random.Random], str]) -> Change:
    def change(text: str, rng: random.Random) -> str:
        return "".join(stamp(n, rng) + line for n, line in enumerate(text.splitlines(keepends=True)))

    return change


def _mixed(text: str, rng: random.Random) -> str:
    """Another program writes whole lines between those of the console, and now and then into one."""
    out = []
    for line in text.splitlines(keepends=True):
        if rng.random() < 0.2:
            out.append(f"wlan0: associated with ap {rng.randrange(99)}\n")
        if rng.random() < 0.05:
            cut = rng.randrange(len(line))
            line = f"{line[:cut]}usb 1-1: new device number {rng.randrange(99)}\n{line[cut:]}"
        out.append(line)
    return "".join(out)


def _redrawn(text: str, rng: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    end = rng.randrange(1, len(lines) + 1)
    screen = lines[max(0, end - 24) : end]
    return "".join([*lines[:end], "\x1b[H\x1b[2J", *screen, *lines[end:]])


CHANGES: dict[str, Change] = {
    "cut": lambda text, rng: text[: rng.randrange(len(text) + 1)],
    "mixed": _mixed,
    "redrawn": _redrawn,
    "CRLF": lambda text, _: text.replace("\n", "\r\n"),
    "ISO": _stamped(lambda n, _: f"2026-11-28T10:56:{n % 60:02}.031Z  "),
    "minicom": _stamped(lambda n, _: f"[2026-11-28 10:56:{n % 60:02}.031] "),
    "clock": _stamped(lambda n, _: f"[10:56:{n % 60:02}] "),
    "syslog": _stamped(lambda n, _: f"Nov 28 10:56:{n % 60:02} "),
    "seconds": _stamped(lambda n, _: f"{n / 10:8.3f} "),
    "our report": _stamped(lambda n, _: f"{n / 10:9.3f} s  "),
    "dmesg": _stamped(lambda n, _: f"[{n / 10:12.6f}] "),
    "quoted": _stamped(lambda n, rng: "> "),
    "quoted twice, stamped": _stamped(lambda n, _: f"> > 10:56:{n % 60:02} "),
    "PuTTY": lambda text, _: f"=~=~=~= PuTTY log 2026.11.28 10:56:15 =~=~=~=\r\n{text}",
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", LOGS)
def test_changed_text_has_the_verdict_of_the_clean_one_or_none(name: str, change: str) -> None:
    log = LOGS[name]
    for seed in range(6):
        changed = CHANGES[change](log.text, random.Random(f"{name} {change} {seed}"))
        verdict = judged(changed.encode()).verdict
        assert (verdict.kind, verdict.code) == (log.kind, log.code) or verdict.kind == "undecided", changed


@pytest.mark.parametrize("change", [c for c in CHANGES if c not in ("cut", "mixed", "redrawn")])
@pytest.mark.parametrize("name", LOGS)
def test_stamps_and_quotes_hide_nothing(name: str, change: str) -> None:
    log = LOGS[name]
    verdict = judged(CHANGES[change](log.text, random.Random(1)).encode()).verdict
    assert (verdict.kind, verdict.code, verdict.stage) == (log.kind, log.code, log.stage)


SEVERAL = ("redrawn", "mixed", "CRLF", "quoted", "ISO", "seconds", "cut")


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(LOGS)), st.data())
def test_several_changes_at_once(name: str, data: st.DataObject) -> None:
    log, text = LOGS[name], LOGS[name].text
    for change in SEVERAL:
        if data.draw(st.booleans(), label=change):
            text = CHANGES[change](text, random.Random(data.draw(st.integers(0, 999))))
    verdict = judged(text.encode()).verdict
    assert (verdict.kind, verdict.code) == (log.kind, log.code) or verdict.kind == "undecided"


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_console_cut_anywhere(name: str) -> None:
    data, (kind, code, _, _) = recorded(name), RECORDED[name]
    rng = random.Random(name)
    for place in {rng.randrange(len(data) + 1) for _ in range(25)}:
        verdict = judged(data[:place]).verdict
        assert (verdict.kind, verdict.code) == (kind, code) or verdict.kind == "undecided", data[:place][
            -200:
        ]


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_console_changed(name: str) -> None:
    text, (kind, code, _, _) = recorded(name).decode("utf-8", "surrogateescape"), RECORDED[name]
    rng = random.Random(name)
    several = ([change for change in SEVERAL if rng.random() < 0.5] for _ in range(4))
    for changes in [*([change] for change in CHANGES), *several]:
        changed = text
        for change in changes:
            changed = CHANGES[change](changed, rng)
        verdict = judged(changed.encode("utf-8", "surrogateescape")).verdict
        assert (verdict.kind, verdict.code) == (kind, code) or verdict.kind == "undecided", changes


@pytest.mark.parametrize("name", [*LOGS, *RECORDED])
def test_a_lost_beginning_makes_no_failure_good_and_nothing_good_a_failure(name: str) -> None:
    """Less is known of what remains, as who panicked, and why a kernel stopped: but not the contrary."""
    text = LOGS[name].text.encode() if name in LOGS else recorded(name)
    kind = LOGS[name].kind if name in LOGS else RECORDED[name][0]
    rng = random.Random(name)
    for place in {rng.randrange(len(text) + 1) for _ in range(8)}:
        verdict = judged(text[place:]).verdict
        assert (verdict.kind == "ok") == (kind == "ok") or verdict.kind == "undecided", text[place:][:200]


@pytest.mark.parametrize("name", LOGS)
def test_pieces_change_nothing(name: str) -> None:
    data = LOGS[name].text.encode()
    rng = random.Random(name)
    places = sorted(rng.randrange(len(data)) for _ in range(20))
    pieces = [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]
    whole, cut = judged(data), judge_recording(pieces, REQUEST)
    assert cut == whole


# Several boots, and what a person says.


def test_the_last_boot_of_a_file_counts_and_the_others_are_told() -> None:
    first, last = LOGS["null pointer"], LOGS["suite passes"]
    recording = judged(f"{first.text}SeaBIOS (version 1.16)\n{last.text}".encode())
    assert recording.count == 2
    assert [(b.verdict.kind, b.verdict.code) for b in recording.boots] == [
        (first.kind, first.code),
        (last.kind, last.code),
    ]
    assert recording.boots[0].last_line + 1 == recording.boots[1].first_line
    assert recording.verdict is recording.boots[1].verdict


def test_many_boots_are_read_and_the_last_ones_kept() -> None:
    recording = judged((LOGS["null pointer"].text * 300).encode())
    assert recording.count == 300
    assert len(recording.boots) == 256
    assert {b.verdict.code for b in recording.boots} == {"thread-fault"}


def test_a_reason_that_another_writer_cut_in_two_is_put_together() -> None:
    whole, reason = LOGS["known reason"].text, "No CPUs detected"
    for place in range(5, 13):
        cut = f"{reason[:place]}usb 1-1: new device\nanother whole line\n{reason[place:]}"
        verdict = judged(whole.replace(reason, cut).encode()).verdict
        assert (verdict.kind, verdict.code) == ("profile", "no-cpu")
    numbered = "ERROR: memory region 12 in wrong order"
    for place in range(1, len(numbered)):
        cut = f"{numbered[:place]}usb 1-1: new device\n{numbered[place:]}"
        verdict = judged(whole.replace(reason, cut).encode()).verdict
        assert (verdict.kind, verdict.code) == ("image", "memory-order"), cut
    other = whole.replace("No CPUs detected", "No CPUs\nno other half")
    assert judged(other.encode()).verdict.code == "kernel-stopped"


def test_our_own_report_of_a_run_says_what_it_waited_for() -> None:
    head = (
        "run       2026-11-28-0001     /runs/2026-11-28-0001\n"
        "board     e300 (twin-e300-9d), BIOS, loader ipxe, until user-space\n"
        '   8.5 s  user-space    console line 78: "Booting all finished, dropped to user space"\n'
        "ok  e300 reached user-space in 7.1 s     run 2026-11-28-0021\n"
    )
    recording = judged((head + LOGS["plain CAmkES"].text).encode())
    assert (recording.count, recording.verdict.kind) == (1, "ok")
    assert judged((head + LOGS["suite cut"].text).encode()).verdict.kind == "undecided"


def test_what_a_person_says_is_what_counts() -> None:
    text = (UNKNOWN + "the answer is 42\n").encode()
    assert judged(text, until=Stage.USER_SPACE, by_itself=False).verdict.kind == "ok"
    assert judged(text, until_texts=(r"answer is \d+",)).verdict.kind == "ok"
    both = judged(text, until_texts=("answer", "question")).verdict
    assert (both.kind, both.code) == ("undecided", "text-ends")
    bad = judged(text, fail_texts=("is 4[0-9]",), until_texts=("answer",)).verdict
    assert (bad.kind, bad.code) == ("image", "fail-text")
    one = (UNKNOWN + VMM_TEXT + LOGIN).encode()
    assert judged(one).verdict.kind == "ok"
    assert judged(one, vms=3).verdict.kind == "undecided"


def test_the_command_answers_on_stdout_with_the_exit_code_of_the_verdict(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    log.write_text(LOGS["user exception"].text)
    result = CliRunner().invoke(root, ["explain", str(log)], standalone_mode=False)
    assert result.return_value == 11
    assert 'thread "rootserver" took user exception 0x6' in result.stdout.splitlines()[0]
    assert any(line.lstrip().startswith("| in thread") for line in result.stdout.splitlines())
    result = CliRunner().invoke(root, ["explain", str(tmp_path), "--json"], standalone_mode=False)
    body = json.loads(result.stdout)
    assert (body["verdict"], body["code"], body["exit_code"]) == ("image", "thread-fault", 11)
    assert body["lines"][1] == "while trying to handle:"
    assert body["at_s"] is None
    command = [sys.executable, "-m", "bringup", "explain", "-"]
    piped = subprocess.run(command, input=SUITE, capture_output=True, text=True, timeout=60, check=False)
    assert piped.returncode == 3
    assert "undecided, exit 3" in piped.stdout


def test_the_build_names_the_vms(tmp_path: Path) -> None:
    build = tmp_path / "build"
    build.mkdir()
    (build / "app.cdl").write_text(
        "objects {\nvmm_ep = ep\n}\ncaps {\n"
        "serial_cnode {\n0x1: processed_ep (RW)\n0x2: guest_ep (RW)\n}\n"
        + "".join(
            f"vm{n}_cnode {{\n0x1: processed_ep (WP, badge: {vmm})\n0x2: guest_ep (WP, badge: {n + 1})\n}}\n"
            for n, vmm in enumerate((5, 3, 2))
        )
        + "time_server_cnode {\n0x1: processed_ep (WP, badge: 1)\n}\n}\n"
    )
    log = tmp_path / "boot.log"
    log.write_text(LOGS["one VM of three missing"].text)
    arguments = ["explain", str(log), "--image", str(build), "--json"]
    body = json.loads(CliRunner().invoke(root, arguments, standalone_mode=False).stdout)
    assert {vm["name"]: vm["login"] for vm in body["vms"]} == {"vm0": True, "vm1": True, "vm2": False}
    assert body["verdict"] == "undecided"
