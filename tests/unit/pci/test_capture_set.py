"""A folder of views opens as one machine, and what bare metal saw better than an OS is what counts."""

from __future__ import annotations

import os
import struct
import threading
from pathlib import Path

import pytest

from bringup.base.errors import ProfileError, UsageError
from bringup.pci.capture.open import open_capture, read_bytes
from bringup.pci.capture.views import FILES_MAX, files_of
from bringup.pci.model import Bar, Bdf
from bringup.pci.pins.beliefs import pin_candidates
from bringup.pci.sources.firmware import records
from bringup.pci.sources.firmware.report import NOT_ASKED
from bringup.rules.assess import assess
from bringup.rules.inputs import Inputs
from bringup.rules.iommu import dmar_is_absent
from tests.unit.pci.test_capture import tar
from tests.unit.pci.test_firmware_source import function, log, pin

LISTING = """\
17:00.0 Ethernet controller [0200]: Intel Corporation I350 Gigabit Network Connection [8086:1521] (rev 01)
\tInterrupt: pin A routed to IRQ 11
\tRegion 0: Memory at %x (32-bit, non-prefetchable) [size=1M]
\tKernel driver in use: igb
"""
FIRST_LINES = b"""\
[    0.1] pci 0000:17:00.0: [8086:1521] type 00 class 0x020000
[    0.1] pci 0000:17:00.0: reg 0x10: [mem 0xc5a00000-0xc5afffff]
"""
NIC = Bdf.parse("17:00.0")
BARS = (0xC5B00000, 0, 0, 0, 0, 0)
SIZES = (0xFFF00000, 0, 0, 0, 0, 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "2026-11-26T013534Z"
    made.mkdir()
    (made / "firmware-probe.log").write_bytes(
        log(function(BARS, SIZES), pin(0, [(0, 16, 3)], [(0, 16, 3)]), cpu(features=1 << 5, control=0b001))
    )
    (made / "lspci.txt").write_text(LISTING % 0xC5B00000)
    return made


def cpu(features: int, control: int) -> tuple[int, bytes]:
    return records.CPU, struct.pack("<4IBQQ", 0, 0, features, 0, 3, control, 0xFEE00D00) + b"A CPU"


def test_its_files_are_views_of_one_machine(folder: Path) -> None:
    machine = open_capture([folder])
    assert [(source.kind, source.name) for source in machine.sources] == [
        ("firmware-probe", f"{folder.name}/firmware-probe.log"),
        ("lspci", f"{folder.name}/lspci.txt"),
    ]
    nic = machine.find(NIC)
    assert nic is not None
    assert nic.driver == "igb"
    assert nic.firmware_bars == (Bar(0, "mem", 0xC5B00000, 1 << 20, 32, False),)
    assert machine.conflicts == ()


def test_a_bar_that_linux_moved_is_a_finding(folder: Path) -> None:
    # Linux's boot log has what Linux found, and that may be after somebody else had moved it.
    (folder / "lspci.txt").unlink()
    (folder / "linux.tar").write_bytes(tar(more={"cmd/dmesg": FIRST_LINES}))
    (folder / "firmware-probe.log").write_bytes(log(function((0xD0000000, 0, 0, 0, 0, 0), SIZES)))
    machine = open_capture([folder])
    nic = machine.find(NIC)
    assert nic is not None
    assert nic.bars is not None and nic.firmware_bars is not None
    assert (nic.bars[0].base, nic.firmware_bars[0].base) == (0xC5B00000, 0xD0000000)
    assert nic.provenance["firmware_bars"] == f"{folder.name}/firmware-probe.log"
    (moved,) = [f for f in assess(machine, None).findings if f.code == "firmware-bar-differs"]
    assert moved.bdf == NIC
    assert moved.severity == "error"
    assert "0xd0000000" in moved.evidence[0] and "0xc5b00000" in moved.evidence[0]
    assert "bars" not in [conflict.field for conflict in machine.conflicts]


def test_without_the_probe_linux_s_first_lines_count(folder: Path) -> None:
    machine = read_bytes(tar(more={"cmd/dmesg": FIRST_LINES}), "linux.tar")
    nic = machine.find(NIC)
    assert nic is not None
    assert nic.firmware_bars is not None
    assert nic.firmware_bars[0].base == 0xC5A00000


def test_measured_outranks_the_profile_and_linux(folder: Path) -> None:
    judged = assess(open_capture([folder]), None)
    best = judged.pins[NIC][0]
    assert (best.ioapic, best.pin, best.grade, best.this_unit) == (0, 16, "measured", True)


def test_the_cpu_is_as_a_kernel_will_find_it(folder: Path) -> None:
    """VT-x that the firmware locked off: Linux takes the CPU's flag away, the probe reads the lock itself."""
    platform = open_capture([folder]).platform
    assert (platform.vtx, platform.vtx_locked_off, platform.x2apic) == (True, True, True)


def test_a_view_of_another_machine_is_refused(folder: Path) -> None:
    (folder / "lspci.txt").write_text((LISTING % 0xC5B00000).replace("8086:1521", "8086:10d3"))
    with pytest.raises(ProfileError, match=r"two machines: 17:00\.0 is"):
        open_capture([folder])


def test_a_file_that_is_no_view_is_named(folder: Path) -> None:
    (folder / "photo").write_bytes(b"\xff\xd8\xff\xe0" + bytes(200))
    machine = open_capture([folder])
    assert machine.find(NIC) is not None
    assert f"{folder.name}/photo" in [gap.what for gap in machine.missing if "passed over" in gap.why]
    with pytest.raises(UsageError, match="photo is a JPEG picture"):
        open_capture([folder / "photo"])


def test_what_somebody_collected_is_read_wherever_it_lies(tmp_path: Path) -> None:
    """A report tool's folder: a listing, the machine's own /proc beside it, pipes, and much else."""
    report = tmp_path / "report"
    (report / "sos_commands" / "pci").mkdir(parents=True)
    (report / "proc").mkdir()
    (report / "sos_commands" / "pci" / "lspci_-nnvv").write_text(LISTING % 0xC5B00000 + "\n")
    (report / "proc" / "interrupts").write_text(
        "            CPU0       CPU1\n  11:        112          0   IO-APIC   11-fasteoi   0000:17:00.0\n"
    )
    (report / "proc" / "ioports").write_text("0000-0cf7 : PCI Bus 0000:00\n  0000-001f : dma1\n")
    os.mkfifo(report / "pipe")
    (report / "version.txt").write_text("sosreport: 4.5\n")
    machine = open_capture([report])
    assert machine.ioports is not None and machine.interrupts is not None
    assert [(pin.ioapic, pin.pin, pin.grade) for pin in pin_candidates(machine)[NIC]] == [(0, 11, "known")]
    assert [gap.what for gap in machine.missing if "passed over" in gap.why] == ["report/version.txt"]


def test_a_dump_of_acpi_tables_counts_beside_a_listing(tmp_path: Path) -> None:
    table = bytearray(b"APIC" + struct.pack("<I", 56) + b"\3\0" + b"ACMEXXTABLETST00" + bytes(10))
    table += struct.pack("<II", 0xFEE00000, 1) + struct.pack("<BBBBII", 1, 12, 2, 0, 0xFEC00000, 0)
    table[9] = -sum(table) & 0xFF
    rows = (
        f"    {at:04X}: {table[at : at + 16].hex(' ').upper()}  {'.' * 16}\n"
        for at in range(0, len(table), 16)
    )
    (tmp_path / "dump.txt").write_text("APIC @ 0x0000000000000000\n" + "".join(rows) + "\n")
    (tmp_path / "lspci.txt").write_text(LISTING % 0xC5B00000)
    machine = open_capture([tmp_path / "dump.txt", tmp_path / "lspci.txt"])
    assert machine.acpi.madt is not None and machine.acpi.madt.ioapics[0].address == 0xFEC00000
    assert not dmar_is_absent(Inputs.of_machine(machine, None))
    with pytest.raises(UsageError, match="no PCI function"):
        open_capture([tmp_path / "dump.txt"])


def test_what_is_no_such_folder_has_no_files(folder: Path, tmp_path: Path) -> None:
    assert len(files_of(folder)) == 2
    (folder / ".hidden").write_bytes(b"")
    assert len(files_of(folder)) == 2
    (folder / "sys").mkdir()
    assert files_of(folder) == ()
    assert files_of(folder / "lspci.txt") == ()
    assert files_of(tmp_path / "absent") == ()
    many = tmp_path / "many"
    many.mkdir()
    for number in range(FILES_MAX + 1):
        (many / str(number)).write_bytes(b"")
    assert files_of(many) == ()
    with pytest.raises(UsageError, match="no PCI functions in the folder"):
        open_capture([many])


def test_tables_that_linux_read_are_not_missing(folder: Path) -> None:
    listed = records.TABLES, struct.pack("<4sIIB", b"DSDT", 0x7000, 4096, 1)
    (folder / "firmware-probe.log").write_bytes(log(function(BARS, SIZES), listed))
    assert NOT_ASKED in [missing.why for missing in open_capture([folder]).missing]
    (folder / "linux.tar").write_bytes(tar())
    assert NOT_ASKED not in [missing.why for missing in open_capture([folder]).missing]


def test_a_shells_pipe_is_read_and_a_named_one_is_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(UsageError, match="is a named pipe"):
        open_capture([pipe])
    reader, writer = os.pipe()
    os.write(writer, (LISTING % 0xC5B00000).encode())
    os.close(writer)
    try:
        assert open_capture([Path(f"/dev/fd/{reader}")]).find(NIC) is not None
    finally:
        os.close(reader)


def test_a_pipe_whose_writer_takes_its_time_is_waited_for() -> None:
    reader, writer = os.pipe()

    def write() -> None:
        os.write(writer, (LISTING % 0xC5B00000).encode())
        os.close(writer)

    late = threading.Timer(1.2, write)
    late.start()
    try:
        assert open_capture([Path(f"/dev/fd/{reader}")]).find(NIC) is not None
    finally:
        late.join()
        os.close(reader)
