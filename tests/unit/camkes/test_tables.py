"""The tables of the grammar are kept in the cache, and made anew where they are damaged or cannot be kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from bringup.camkes.app.adl.parse import _parser
from bringup.camkes.text.tokens import tokenize

TEXT = "assembly { composition { component A a; } configuration { a.x = 1 + 2; } }"


def settings() -> list[tuple[str, object]]:
    """Return what a parser that is built now reads."""
    words = [token for token in tokenize(TEXT, preprocessed=True) if token.text.strip()]
    (assembly,) = _parser.__wrapped__().parse(words)
    return [(each.attribute, each.value) for each in assembly.configuration.settings]


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the tables are kept."""
    monkeypatch.setenv("BRINGUP_HOME", str(tmp_path))
    return tmp_path / "cache" / "camkes-grammar.tables"


def test_the_tables_are_kept_and_read_again(tables: Path) -> None:
    assert settings() == [("x", 3)]
    made = tables.stat().st_mtime_ns, tables.read_bytes()
    assert settings() == [("x", 3)]
    assert made == (tables.stat().st_mtime_ns, tables.read_bytes())


@pytest.mark.parametrize("damage", ["empty", "half", "foreign"])
def test_damaged_tables_are_made_anew(tables: Path, damage: str) -> None:
    settings()
    whole = tables.read_bytes()
    tables.write_bytes({"empty": b"", "half": whole[: len(whole) // 2], "foreign": b"0" * 64 + b"\n"}[damage])
    assert settings() == [("x", 3)]
    assert len(tables.read_bytes()) > len(whole) // 2


def test_without_a_folder_of_the_users_nothing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BRINGUP_HOME", str(tmp_path / "file"))
    assert settings() == [("x", 3)]
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
