"""The table of text formats: every row is whole, and nothing that is looked at makes a reader stumble."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bringup.pci.model import Machine, SourceInfo
from bringup.pci.sources import linux
from bringup.pci.sources.formats import FORMATS, names, rank_of, reader_of


def test_no_two_formats_have_one_kind_or_one_rank() -> None:
    assert len({row.reader.KIND for row in FORMATS}) == len({row.rank for row in FORMATS}) == len(FORMATS)


def test_a_machine_s_own_files_count_more_than_any_text() -> None:
    def rank(kind: str) -> int:
        return rank_of(Machine((), sources=(SourceInfo("x", kind, ""),)))

    assert all(rank(linux.KIND) < rank(row.reader.KIND) for row in FORMATS)


def test_every_format_is_named_to_people() -> None:
    assert all(row.name in names() for row in FORMATS)


@given(st.binary(max_size=300))
def test_bytes_are_never_too_strange_to_be_looked_at(data: bytes) -> None:
    reader = reader_of(data)
    assert reader is None or reader.looks_like(data)
