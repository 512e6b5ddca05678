"""How many tests an sel4test image will run: its table of tests, counted in the bytes of the root task. Pure.

The driver and the program `sel4test-tests` in its archive each have a section `_test_case`: records of 64
bytes, which begin with the test's name and end with a word that says whether it is enabled (sel4test
libsel4test include/sel4test/test.h; sel4test-driver src/main.c counts the same).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from bringup.image.elf import ELF_MAGIC

_SECTION = b"_test_case\0"
_RECORD = 64
_PROGRAMS_MAX = 64
_SECTIONS_MAX = 4096
# Before the first test and after the last one the driver runs one of its own; the last number leaves one out.
_OWN_TESTS = 2

_HEADERS = {1: struct.Struct("<32xI10xHHH"), 2: struct.Struct("<40xQ10xHHH")}
_SECTION_HEADERS = {1: struct.Struct("<I12xII"), 2: struct.Struct("<I20xQQ")}
_WORDS = {1: struct.Struct("<I"), 2: struct.Struct("<Q")}


def count_tests(data: bytes) -> int | None:
    """Return the number of the last test that the suite in `data` runs, None where that cannot be told."""
    enabled = 0
    at = data.find(ELF_MAGIC)
    for _ in range(_PROGRAMS_MAX):
        if at < 0:
            break
        for bits, table in _tables(data, at):
            count = _enabled(table, bits)
            if count is None:
                return None  # another layout than the one that is known
            enabled += count
        at = data.find(ELF_MAGIC, at + len(ELF_MAGIC))
    return enabled + _OWN_TESTS if enabled else None


def _tables(data: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """Yield the tables of tests of the ELF file that begins at `at`, each with the file's class."""
    bits = data[at + 4] if at + 4 < len(data) else 0
    if bits not in _HEADERS or at + _HEADERS[bits].size > len(data):
        return
    table, size, count, names = _HEADERS[bits].unpack_from(data, at)
    header = _SECTION_HEADERS[bits]
    if size < header.size or names >= count or count > _SECTIONS_MAX:
        return
    if at + table + count * size > len(data):
        return
    sections = [header.unpack_from(data, at + table + number * size) for number in range(count)]
    _, names_at, _ = sections[names]
    for name, offset, length in sections:
        if data.startswith(_SECTION, at + names_at + name):
            yield bits, data[at + offset : at + offset + length]


def _enabled(table: bytes, bits: int) -> int | None:
    word = _WORDS[bits]
    if len(table) % _RECORD:
        return None
    records = [table[start : start + _RECORD] for start in range(0, len(table), _RECORD)]
    flags = [word.unpack_from(record, _RECORD - word.size)[0] for record in records]
    names = [record.split(b"\0")[0].decode("ascii", "replace") for record in records]
    if not all(name.isidentifier() for name in names) or not set(flags) <= {0, 1}:
        return None
    return sum(map(int, flags))
