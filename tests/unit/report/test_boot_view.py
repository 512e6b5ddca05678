"""What a person sees of a boot: a line per thing, nothing that steers the terminal, progress meanwhile."""

from __future__ import annotations

import time
from contextlib import redirect_stderr

import pytest

from bringup.base.events import Event
from bringup.report.boot_view import BootView
from bringup.report.transfer import transfer_text
from tests.doubles.screen import Screen
from tests.twin.helpers import wait_for

IMAGE = {
    "title": "an image",
    "kind": "multiboot",
    "headers": "multiboot 1+2",
    "key": "ab" * 8,
    "kernel": {"size": 11_000},
    "modules": [{"size": 1 << 20}],
}


def shown(*events: Event, terminal: bool = False) -> str:
    with (
        redirect_stderr(Screen(terminal=terminal)) as screen,
        BootView(IMAGE, usual_s=None) as view,
    ):
        for event in events:
            view(event)
    return screen.shown


@pytest.mark.parametrize("terminal", [True, False])
def test_what_a_board_or_stranger_wrote_cannot_steer_the_terminal(
    terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    hostile = "/\x1b]0;PWNED\x07\x1b[8;10;10t\x9b2J refused (404)"
    text = shown(Event("http", "http.error", hostile), terminal=terminal)
    assert "refused (404)" in text
    for sequence in ("\x1b]", "\x07", "\x1b[8", "\x9b"):
        assert sequence not in text


def test_nothing_is_drawn_while_a_person_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    with redirect_stderr(Screen(terminal=True)) as screen, BootView(IMAGE, usual_s=None) as view:
        view(Event("power", "power.ask", "Switch e300 off"))
        before = screen.shown
        view(Event("console", "console.activity", data={"bytes": 1, "lines": 1}))
        time.sleep(0.5)  # a spinner turns several times
        assert screen.shown == before
        view(Event("power", "power.state", "on → off, confirmed", {"state": "off"}))
        assert "confirmed" in screen.shown.removeprefix(before)
        after = screen.shown
        assert wait_for(lambda: screen.shown != after)


def test_on_a_terminal_a_long_line_is_broken_at_words_below_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    disk = "QEMU HARDDISK, 4.0 GiB, serial TWIN0, at pci-0000:00:1f.2-ata-1: empty"
    assert disk in shown(Event("disk", "disk.found", disk))
    text = shown(Event("disk", "disk.found", disk), terminal=True)
    assert "serial TWIN0, at\n" + " " * 24 + "pci-0000:00:1f.2-ata-1: empty" in text
    assert "sha256\n          abababab" in text


def test_each_stage_is_told_once_and_each_vm_by_itself() -> None:
    def stage(name: str, vm: int | None = None) -> Event:
        return Event("console", "console.stage", f"text of {name}", {"stage": name, "vm": vm})

    text = shown(stage("kernel"), stage("kernel"), stage("login", 0), stage("login", 1))
    assert text.count("text of kernel") == 1
    assert 'VM 0: "text of login"' in text
    assert 'VM 1: "text of login"' in text


def test_a_line_that_only_says_something_went_wrong_adds_nothing() -> None:
    telling = Event(
        "console", "console.failure", "vt-x: feature locked", {"code": "vtx-locked", "generic": False}
    )
    generic = Event("console", "console.failure", "halting...", {"code": "halted", "generic": True})
    assert "halting" not in shown(telling, generic)
    assert "halting" in shown(generic)


def test_a_line_that_says_two_things_is_told_once() -> None:
    def failure(line: int, port: str) -> Event:
        return Event("console", "console.failure", "PCIDs not supported", {"line": line, "port": port})

    assert shown(failure(1, "COM1"), failure(1, "COM1")).count("PCIDs") == 1
    assert shown(failure(1, "COM1"), failure(2, "COM1")).count("PCIDs") == 2
    assert shown(failure(1, "COM1"), failure(1, "COM2")).count("PCIDs") == 2


def test_served_files_carry_size_and_rate() -> None:
    data = {"path": "/m", "bytes": 64 << 20, "seconds": 2.0, "role": "module"}
    text = shown(Event("http", "http.done", "", data))
    assert "module" in text
    assert "64 MiB by HTTP  32 MiB/s" in text
    slow = {"path": "/m", "bytes": 1 << 20, "seconds": 8.0, "role": "module"}
    assert "1.0 MiB by TFTP  128 KiB/s" in shown(Event("tftp", "tftp.done", "", slow))


def test_a_report_is_counted_in_frames() -> None:
    def text(size: int | None) -> str:
        data = {"role": "report", "sent": 120, "size": size, "unit": "frames"}
        return transfer_text(Event("console", "console.upload_progress", "", data))

    assert text(157) == "report 120 of 157 frames"
    assert text(None) == "report 120 frames"


def test_the_running_test_is_shown_as_one_of_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    test = {"number": 12, "name": "SCHED0001", "failed": False, "of": 123}
    far = time.monotonic() + 10
    now = Event("console", "console.test", "Starting test 12: SCHED0001", test, far)
    with redirect_stderr(Screen(terminal=True)) as screen, BootView(IMAGE, usual_s=None) as view:
        view(now)
        assert wait_for(lambda: "test 12 of 123 (SCHED0001)" in screen.shown)


def loader(marker: str) -> Event:
    return Event(
        "console", "console.stage", marker, {"stage": "loader", "marker": marker, "line": 3, "vm": None}
    )


def step(name: str) -> Event:
    return Event("run", "run.step", name, {"step": name, "state": "begin"})


@pytest.mark.parametrize(
    ("before", "marker", "label"),
    [
        ([], "GRUB loading.", "disk"),
        ([], "Welcome to GRUB!", "disk"),
        ([step("serve"), step("power")], "GRUB loading.", "disk"),
        ([step("power")], "GRUB loading.", "loader"),
        ([], "bringup: loading kernel", "loader"),
        ([Event("tftp", "tftp.start", "core.0", {"path": "core.0"})], "GRUB loading.", "loader"),
    ],
)
def test_a_loader_that_was_not_served_is_the_disk_s(before: list[Event], marker: str, label: str) -> None:
    lines = shown(*before, loader(marker), loader(marker)).splitlines()
    told = [line for line in lines if marker in line]
    assert len(told) == 1 and f" {label} " in told[0]
