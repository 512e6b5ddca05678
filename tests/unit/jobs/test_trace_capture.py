"""A boot from a packet capture and its console's log: one clock, reached, missing, causes left."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bringup.base.errors import UsageError
from bringup.base.stage import Stage
from bringup.console.log import ConsoleLog
from bringup.console.timed import read_stamp, timed_pieces
from bringup.jobs.trace import trace_capture
from bringup.netboot.recorded.frames import read_capture
from bringup.netboot.recorded.told import CaptureReader
from tests.doubles.packets import ACK, BOARD, DISCOVER, EPOCH_S, MAC, NAK, OFFER, SERVER, Wire

PORTS = ((69, 2070, None), (2070, 69, None), (67, 68, None), (623, 9, None), (80, 5, 1), (5, 80, 1))
KERNEL = b"\x7fELF\1\1".ljust(16, b"\0") + b"\2\0" + bytes(19_988)
MODULE = b"\x7fELF\2\1".ljust(16, b"\0") + b"\2\0" + bytes(89_988)
SCRIPT = b"#!ipxe\nkernel http://10.55.0.1/kernel\n"
SAID = [
    (0.5, "SeaBIOS (version 1.16.2-debian-1.16.2-1)"),
    (4.1, "Boot config: parsing cmdline 'kernel console_port=0x2f8'"),
    (4.2, "Starting node #0 with APIC ID 0"),
    (4.3, "Booting all finished, dropped to user space"),
]


def boot() -> Wire:
    wire = Wire()
    wire.lease(1.0)
    wire.tftp(1.5, "boot.kpxe", b"\x01" * 5000)
    wire.http(2.0, "/boot.ipxe", SCRIPT)
    wire.http(2.5, "/kernel", KERNEL, port=50002)
    wire.http(3.0, "/module", MODULE, port=50003)
    return wire


def stamped(folder: Path, shift_s: float = 0.0) -> Path:
    from datetime import UTC, datetime

    path = folder / "said.log"
    lines = [
        f"{datetime.fromtimestamp(EPOCH_S + shift_s + at_s, UTC):%Y-%m-%dT%H:%M:%S.%f}Z  {line}\r\n"
        for at_s, line in SAID
    ]
    path.write_text("".join(lines))
    return path


@pytest.mark.parametrize("ng", [False, True])
def test_packets_and_console_have_one_clock(tmp_path: Path, ng: bool) -> None:
    seen, ending = trace_capture(boot().save(tmp_path / "boot.pcap", ng=ng), stamped(tmp_path))
    assert [(moment.track, moment.text.split()[0]) for moment in seen] == [
        ("console", "firmware:"),
        ("DHCP", MAC),
        ("DHCP", MAC),
        ("DHCP", MAC),
        ("DHCP", MAC),
        ("TFTP", "boot.kpxe"),
        ("HTTP", "/boot.ipxe"),
        ("HTTP", "/kernel"),
        ("HTTP", "/module"),
        ("console", "kernel:"),
        ("console", "user-space:"),
    ]
    times = [moment.at_s for moment in seen]
    assert times[0] == 0.0 and times == sorted(times, key=lambda at_s: at_s or 0.0)
    assert times[1] == pytest.approx(0.5, abs=0.002) and times[-1] == pytest.approx(3.8, abs=0.002)
    assert (ending.reached, ending.missing) == ("user-space", None)
    assert "5000 bytes" in seen[5].text and "20006 bytes" in seen[7].text  # what came twice counts once


def test_a_console_without_times_comes_last_and_counts(tmp_path: Path) -> None:
    (tmp_path / "said.log").write_text("".join(f"{line}\n" for _, line in SAID))
    seen, ending = trace_capture(boot().save(tmp_path / "boot.pcap"), tmp_path / "said.log")
    assert [moment.at_s is None for moment in seen][-3:] == [True] * 3
    assert (ending.reached, ending.reached_s) == ("user-space", None)


def test_a_root_task_that_died_has_not_arrived(tmp_path: Path) -> None:
    (tmp_path / "said.log").write_text(
        "".join(f"{line}\n" for _, line in SAID)
        + "Caught cap fault in send phase at address 0\nwhile trying to handle:\n"
    )
    _, ending = trace_capture(None, tmp_path / "said.log")
    assert ending.verdict == "image" and ending.causes


def test_a_runs_folder_has_the_times_of_its_console(tmp_path: Path) -> None:
    log = ConsoleLog(tmp_path, origin_s=0.0)
    log.append(b"SeaBIOS (version 1.16)\n", 2.0)
    log.append(b"half a line ", 3.0)
    log.append(b"and its end\n", 4.0)
    log.close()
    by_folder, by_file = list(timed_pieces(tmp_path)), list(timed_pieces(tmp_path / "console.log"))
    assert by_folder == by_file and [piece.text for piece in by_file][1] == b"half a line and its end\n"
    times = [piece.at_s for piece in by_file]
    assert None not in times and times[1] - times[0] == pytest.approx(1.0, abs=0.01)  # type: ignore[operator]


def test_the_first_missing_is_the_module_that_was_cut_off(tmp_path: Path) -> None:
    wire = Wire()
    wire.lease(1.0)
    wire.tftp(1.5, "boot.kpxe", b"\x01" * 5000)
    wire.http(2.0, "/kernel", KERNEL)
    wire.http(3.0, "/module", MODULE, port=50003, cut=4200)
    seen, ending = trace_capture(wire.save(tmp_path / "boot.pcap"), None)
    assert (ending.reached, ending.missing) == ("kernel-image", "modules") and ending.causes
    assert seen[-1].text == "/module: ended after 4200 of 90006 bytes"


def test_what_a_board_acknowledged_came_even_where_the_capture_missed_it(tmp_path: Path) -> None:
    wire = Wire()
    wire.lease(1.0)
    wire.http(2.0, "/kernel", KERNEL)
    wire.http(3.0, "/module", MODULE, port=50003, recorded=4200)
    seen, ending = trace_capture(wire.save(tmp_path / "boot.pcap"), None)
    assert seen[-1].text.startswith("/module 90006 bytes")
    assert (ending.reached, ending.missing) == ("modules", "kernel")


def test_a_transfer_that_falls_silent_is_told_with_how_far_it_came(tmp_path: Path) -> None:
    wire = Wire()
    wire.lease(1.0)
    wire.tftp(1.5, "boot.kpxe", b"\x01" * 5000, blocks=3)
    _, ending = trace_capture(wire.save(tmp_path / "boot.pcap"), None)
    assert (ending.reached, ending.missing) == ("dhcp", "loader")


def test_what_a_loader_loads_for_itself_is_no_kernel(tmp_path: Path) -> None:
    wire = Wire()
    wire.lease(1.0)
    wire.tftp(1.5, "core.0", b"\x01" * 5000)
    wire.tftp(
        2.0, "grub/i386-pc/normal.mod", b"\x7fELF\1\1".ljust(16, b"\0") + b"\1\0" + bytes(900), port=2071
    )
    _, ending = trace_capture(wire.save(tmp_path / "boot.pcap"), None)
    assert (ending.reached, ending.missing) == ("loader", "kernel-image")


def test_our_boot_image_holds_kernel_and_modules(tmp_path: Path) -> None:
    wire = Wire()
    wire.lease(1.0, file="boot.efi", arch=7)
    wire.tftp(1.5, "boot.efi", b"MZ" + bytes(5000))
    _, ending = trace_capture(wire.save(tmp_path / "boot.pcap"), None)
    assert (ending.reached, ending.missing) == ("modules", "kernel")


def test_nobody_answers_dhcp(tmp_path: Path) -> None:
    wire = Wire()
    for at_s in (1.0, 3.0, 7.0):
        wire.dhcp(at_s, DISCOVER, arch=7)
    seen, ending = trace_capture(wire.save(tmp_path / "boot.pcap"), None)
    assert (ending.reached, ending.missing) == ("firmware", "dhcp")
    assert len(seen) == 3 and "UEFI" in seen[0].text


def test_a_second_server_is_a_rival_and_a_refusal_is_told(tmp_path: Path) -> None:
    wire = Wire()
    wire.lease(1.0)
    wire.dhcp(1.15, OFFER, source="10.55.0.9", address="10.55.0.99", file="other.efi")
    wire.dhcp(1.4, NAK, source="10.55.0.8", xid=8)
    seen, _ = trace_capture(wire.save(tmp_path / "boot.pcap"), None)
    told = "\n".join(moment.text for moment in seen)
    assert "another DHCP server, 10.55.0.9, gives" in told and "10.55.0.8 refused" in told


def test_refused_files_are_told(tmp_path: Path) -> None:
    wire = Wire()
    wire.lease(1.0)
    wire.udp(1.5, BOARD, 2070, SERVER, 69, struct.pack("!H", 1) + b"none.kpxe\0octet\0")
    wire.udp(1.6, SERVER, 40001, BOARD, 2070, struct.pack("!HH", 5, 1) + b"File not found\0")
    wire.http(2.0, "/none", b"", status="404 Not Found")
    seen, _ = trace_capture(wire.save(tmp_path / "boot.pcap"), None)
    assert [moment.text for moment in seen][-2:] == ["none.kpxe: File not found", "/none: status 404"]


def test_the_boot_of_another_machine_can_be_asked_for(tmp_path: Path) -> None:
    wire = boot()
    other = "52:54:00:00:00:99"
    wire.dhcp(0.5, DISCOVER, mac=other, arch=0)  # looks for servers, and takes nothing
    wire.frames.sort()
    path = wire.save(tmp_path / "boot.pcap")
    _, first = trace_capture(path, None)
    assert first.reached == "modules"
    seen, theirs = trace_capture(path, None, other)
    assert theirs.reached == "firmware" and not any(moment.track in ("HTTP", "TFTP") for moment in seen)


def test_sessions_with_a_bmc_are_told_once(tmp_path: Path) -> None:
    wire = Wire()
    for at_s, kind in ((1.0, 0x11), (1.1, 0xC1), (1.2, 0xC1), (1.3, 0xC0)):
        packet = bytes([6, 0, 0xFF, 7, 6, kind]) + bytes(20)
        wire.udp(at_s, "10.0.0.17", 623, "10.0.0.1", 50000, packet)
    seen, _ = trace_capture(wire.save(tmp_path / "boot.pcap"), None)
    assert [(moment.track, moment.at_s) for moment in seen] == [("BMC", 0.0), ("BMC", 0.1)]


def test_a_capture_that_breaks_off_ends_there(tmp_path: Path) -> None:
    path = boot().save(tmp_path / "boot.pcap")
    whole = len(list(read_capture(path)))
    path.write_bytes(path.read_bytes()[:-30])
    assert len(list(read_capture(path))) in (whole - 1, whole)  # a part of the last packet


@pytest.mark.parametrize("content", [b"", b"text\n" * 50, b"\xd4\xc3\xb2\xa1", b"\x0a\x0d\x0d\x0a" * 9])
def test_what_is_no_capture_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "boot.pcap").write_bytes(content)
    with pytest.raises(UsageError):
        list(read_capture(tmp_path / "boot.pcap"))


def test_a_pipe_and_a_folder_are_no_captures(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, tmp_path / "none"):
        with pytest.raises(UsageError):
            list(read_capture(path))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(st.data())
def test_a_damaged_capture_never_fails_otherwise(tmp_path: Path, data: st.DataObject) -> None:
    good = boot().save(tmp_path / "good.pcap").read_bytes()
    changes = data.draw(st.lists(st.tuples(st.integers(0, len(good) - 1), st.integers(0, 255)), max_size=40))
    bad = bytearray(good[: data.draw(st.integers(24, len(good)))])
    for place, value in changes:
        if place < len(bad):
            bad[place] = value
    (tmp_path / "bad.pcap").write_bytes(bad)
    try:
        moments, ending = trace_capture(tmp_path / "bad.pcap", None)
    except UsageError as error:
        assert error.message.isprintable()
        return
    assert all(moment.text.isprintable() for moment in moments)
    assert ending.reached is None or ending.reached in {str(stage) for stage in Stage}


@given(st.lists(st.binary(max_size=400), max_size=8))
def test_any_payload_is_read_for_what_it_is(payloads: list[bytes]) -> None:
    from bringup.netboot.recorded.frames import Datagram

    packets = [
        Datagram(float(number), "10.0.0.1", sport, "10.0.0.2", dport, payload, len(payload), seq)
        for number, payload in enumerate(payloads)
        for sport, dport, seq in (
            (69, 2070, None),
            (2070, 69, None),
            (67, 68, None),
            (623, 9, None),
            (80, 5, 1),
            (5, 80, 1),
        )
    ]
    for event in CaptureReader().events(packets):
        assert isinstance(event.text, str) and event.text.isprintable()


@pytest.mark.parametrize(
    ("line", "at_s", "text"),
    [
        (b"2026-11-28T20:10:01.250Z  hello", 1795896601.25, b"hello"),
        (b"[2026-11-28 20:10:01] hello", 1795896601.0, b"hello"),
        (b"2026-11-28T22:10:01+02:00 hello", 1795896601.0, b"hello"),
        (b"1795896601.5 hello", 1795896601.5, b"hello"),
        (b"[    0.123456] hello", None, b"[    0.123456] hello"),
        (b"2026-99-28T20:10:01Z hello", None, b"2026-99-28T20:10:01Z hello"),
    ],
)
def test_stamps(line: bytes, at_s: float | None, text: bytes) -> None:
    assert read_stamp(line) == (at_s, text)


def test_an_acknowledged_offer_is_told_with_file_and_server(tmp_path: Path) -> None:
    wire = Wire()
    wire.dhcp(1.0, DISCOVER, arch=0)
    wire.dhcp(1.1, ACK, address=BOARD, file="boot.kpxe")
    seen, ending = trace_capture(wire.save(tmp_path / "boot.pcap"), None)
    assert seen[1].text == f"{MAC} is given {BOARD} and the file boot.kpxe by {SERVER}"
    assert ending.reached == "dhcp"
