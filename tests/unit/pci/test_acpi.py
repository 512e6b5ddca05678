"""ACPI tables: decoded as written, checked against iasl, and never a loop or a crash on damaged ones."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.pci.acpi.tables import decode_dmar, decode_madt, decode_mcfg, read_acpi, resolve_scopes
from bringup.pci.model import (
    Acpi,
    Bdf,
    Bridge,
    Drhd,
    Function,
    IoApic,
    Mcfg,
    Missing,
    Rmrr,
    Scope,
    SourceOverride,
)
from bringup.pci.tree.files import MemoryFiles

FOLDER = "sys/firmware/acpi/tables"


def table(signature: str, body: bytes) -> bytes:
    head = struct.pack(
        "<4sIBB6s8sI4sI", signature.encode(), 36 + len(body), 1, 0, b"TEST  ", b"TEST    ", 1, b"TEST", 1
    )
    data = bytearray(head + body)
    data[9] = -sum(data) & 0xFF
    return bytes(data)


def ioapic(number: int, address: int, base: int) -> bytes:
    return struct.pack("<BBBBII", 1, 12, number, 0, address, base)


MADT = table(
    "APIC",
    struct.pack("<II", 0xFEE00000, 1)
    + struct.pack("<BBBBI", 0, 8, 0, 0, 1)
    + struct.pack("<BBBBI", 0, 8, 1, 2, 1)
    + struct.pack("<BBBBI", 0, 8, 2, 0xFF, 0)
    + struct.pack("<BBHIII", 9, 16, 0, 300, 1, 3)
    + ioapic(8, 0xFEC00000, 0)
    + ioapic(9, 0xFEC01000, 24)
    + struct.pack("<BBBBIH", 2, 10, 0, 9, 9, 0xD),
)


def scope(kind: int, bus: int, *hops: tuple[int, int], number: int = 0) -> bytes:
    path = bytes(byte for hop in hops for byte in hop)
    return bytes([kind, 6 + len(path), 0, 0, number, bus]) + path


def drhd(flags: int, base: int, scopes: bytes = b"") -> bytes:
    return struct.pack("<HHBBHQ", 0, 16 + len(scopes), flags, 0, 0, base) + scopes


def rmrr(base: int, limit: int, scopes: bytes) -> bytes:
    return struct.pack("<HHHHQQ", 1, 24 + len(scopes), 0, 0, base, limit) + scopes


DMAR = table(
    "DMAR",
    bytes([45, 1])
    + bytes(10)
    + drhd(0, 0xC5FFC000, scope(1, 0x16, (0, 0), (0, 1)) + scope(3, 0xF0, (31, 0), number=9))
    + drhd(1, 0xD97FC000)
    + rmrr(0x6F000000, 0x6F010FFF, scope(1, 0, (0x14, 0)))
    + struct.pack("<HHI", 3, 8, 0),
)
MCFG = table("MCFG", bytes(8) + struct.pack("<QHBBI", 0x80000000, 0, 0, 255, 0))


def test_madt_keeps_table_order_and_counts_enabled_processors() -> None:
    madt = decode_madt(MADT)
    assert madt.ioapics == (IoApic(0, 8, 0xFEC00000, 0), IoApic(1, 9, 0xFEC01000, 24))
    assert madt.overrides == (SourceOverride(9, 9, 0xD),)
    assert madt.cpus == 3


def test_dmar_with_a_path_of_two_hops_and_an_inclusive_limit() -> None:
    dmar = decode_dmar(DMAR)
    assert (dmar.address_bits, dmar.flags) == (46, 1)
    assert dmar.drhds == (
        Drhd(0, 0xC5FFC000, False, (Scope(1, 0, 0x16, ((0, 0), (0, 1))), Scope(3, 9, 0xF0, ((31, 0),)))),
        Drhd(0, 0xD97FC000, True, ()),
    )
    assert dmar.rmrrs == (Rmrr(0, 0x6F000000, 0x6F010FFF, (Scope(1, 0, 0, ((0x14, 0),)),)),)


def test_mcfg() -> None:
    assert decode_mcfg(MCFG) == (Mcfg(0x80000000, 0, 0, 255),)


def test_scopes_are_walked_through_the_bridges_that_were_seen() -> None:
    acpi = Acpi(dmar=decode_dmar(DMAR))
    port = Function(Bdf.parse("16:00.0"), bridge=Bridge(0x16, 0x17, 0x17), provenance={"bridge": "x"})
    dmar = resolve_scopes(acpi, [port]).dmar
    assert dmar is not None
    assert [s.bdf for s in dmar.drhds[0].scopes] == [Bdf.parse("17:00.1"), Bdf.parse("f0:1f.0")]
    assert dmar.rmrrs[0].scopes[0].bdf == Bdf.parse("00:14.0")
    unknown = resolve_scopes(acpi, []).dmar
    assert unknown is not None and unknown.drhds[0].scopes[0].bdf is None


def test_of_several_tables_of_one_signature_the_first_counts() -> None:
    """Linux names their files with numbers, and none without (x299 boards have MCFG1 and MCFG2)."""
    other = table("MCFG", bytes(8) + struct.pack("<QHBBI", 0x90000000, 0, 0, 127, 0))
    acpi, missing = read_acpi(MemoryFiles({f"{FOLDER}/MCFG1": MCFG, f"{FOLDER}/MCFG2": other}))
    assert acpi.mcfg == decode_mcfg(MCFG)
    assert f"{FOLDER}/MCFG" not in {gap.what for gap in missing}


def test_a_damaged_table_is_named_by_its_file() -> None:
    _, missing = read_acpi(MemoryFiles({f"{FOLDER}/MCFG1": MCFG[:-1] + b"\x01"}))
    assert Missing(f"{FOLDER}/MCFG1", "checksum is wrong") in missing


def test_a_captured_folder_says_what_it_has_not() -> None:
    files = MemoryFiles(
        {f"{FOLDER}/APIC": MADT, f"{FOLDER}/MCFG": MCFG[:-1] + b"\x01"},
        missing={f"{FOLDER}/DMAR": "permission denied"},
    )
    acpi, missing = read_acpi(files)
    assert acpi.madt == decode_madt(MADT) and acpi.dmar is None and acpi.mcfg is None
    assert missing == (
        Missing(f"{FOLDER}/DMAR", "permission denied"),
        Missing(f"{FOLDER}/MCFG", "checksum is wrong"),
    )


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "0 bytes"),
        (bytes(44), "zeroed"),
        (MCFG, "expected APIC"),
        (MADT[:-1], "the file has"),
        (MADT + b"trailing", None),
        (table("APIC", bytes(8) + bytes([0, 0]) * 4), "has length 0"),
        (table("APIC", bytes(8) + bytes([1, 12, 8])), "beyond the table's end"),
        (table("APIC", bytes(8) + bytes([1, 4, 8, 0])), "needs 12"),
        (table("APIC", bytes(8) + bytes([1])), "cut off"),
    ],
)
def test_a_damaged_madt_is_refused_with_the_reason(data: bytes, reason: str | None) -> None:
    if reason is None:
        assert decode_madt(data) == decode_madt(MADT)
        return
    with pytest.raises(ValueError, match=reason):
        decode_madt(data)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (bytes(4), "too few"),
        (bytes(12) + struct.pack("<HH", 0, 0), "has length 0"),
        (bytes(12) + drhd(0, 0, bytes([1, 6, 0, 0, 0, 0])), "needs 8"),
        (bytes(12) + drhd(0, 0, bytes([1, 9, 0, 0, 0, 0, 1, 0, 1])), "half a hop"),
        (bytes(12) + drhd(0, 0, bytes([1, 0])), "has length 0"),
    ],
)
def test_a_damaged_dmar_is_refused_with_the_reason(body: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        decode_dmar(table("DMAR", body))


def test_half_an_mcfg_entry_is_refused() -> None:
    with pytest.raises(ValueError, match="whole MCFG entries"):
        decode_mcfg(table("MCFG", bytes(8 + 15)))


@given(st.binary(max_size=400), st.sampled_from(["APIC", "DMAR", "MCFG"]))
def test_any_body_is_decoded_or_refused(body: bytes, signature: str) -> None:
    decode = {"APIC": decode_madt, "DMAR": decode_dmar, "MCFG": decode_mcfg}[signature]
    try:
        decode(table(signature, body))
    except ValueError as error:
        assert str(error)


@given(st.binary(max_size=400))
def test_random_files_become_missing_with_a_reason(data: bytes) -> None:
    acpi, missing = read_acpi(
        MemoryFiles(dict.fromkeys((f"{FOLDER}/APIC", f"{FOLDER}/DMAR", f"{FOLDER}/MCFG"), data))
    )
    assert acpi == Acpi() and len(missing) == 3 and all(m.why for m in missing)


@pytest.mark.skipif(shutil.which("iasl") is None, reason="iasl is not installed: apt install acpica-tools")
@pytest.mark.parametrize("signature", ["APIC", "DMAR", "MCFG"])
def test_the_tables_of_these_tests_mean_the_same_to_iasl(signature: str, tmp_path: Path) -> None:
    data = {"APIC": MADT, "DMAR": DMAR, "MCFG": MCFG}[signature]
    (tmp_path / "t.dat").write_bytes(data)
    subprocess.run(["iasl", "-d", "t.dat"], cwd=tmp_path, capture_output=True, check=True, timeout=30)
    text = (tmp_path / "t.dsl").read_text()
    expected = {
        "APIC": ["Address : FEC01000", "Interrupt : 00000018", "Interrupt : 00000009"],
        "DMAR": [
            "Register Base Address : 00000000C5FFC000",
            "PCI Path : 00,00\n",
            "PCI Path : 00,01\n",
            "End Address (limit) : 000000006F010FFF",
        ],
        "MCFG": ["Base Address : 0000000080000000", "End Bus Number : FF"],
    }[signature]
    assert [line for line in expected if line not in text] == []
    assert "Invalid" not in text and "checksum" not in text.lower().replace("checksum : ", "")
