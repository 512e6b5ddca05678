"""The tar reader against Python's tarfile and the system's tar: the same members, and damage is an error."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bringup.pci.tree.tar import BLOCK, members

_FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
_KINDS = {
    tarfile.REGTYPE: "file",
    tarfile.DIRTYPE: "folder",
    tarfile.SYMTYPE: "link",
    tarfile.LNKTYPE: "other",
}
_NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0/\n"), min_size=1, max_size=60)
_PATHS = st.lists(_NAMES, min_size=1, max_size=6).map("/".join)
_ENTRIES = st.tuples(_PATHS, st.sampled_from(sorted(_KINDS)), st.binary(max_size=1200), _PATHS)


def pack(entries: list[tuple[str, bytes, bytes, str]], form: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for path, kind, data, target in entries:
            info = tarfile.TarInfo(path)
            info.type = kind
            if kind == tarfile.REGTYPE:
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
            else:
                info.linkname = target
                archive.addfile(info)
    return buffer.getvalue()


def read(data: bytes) -> list[tuple[str, str, str, bytes]]:
    return [(m.path.rstrip("/"), m.kind, m.target, data[m.start : m.start + m.size]) for m in members(data)]


@settings(max_examples=200, deadline=None)
@given(st.lists(_ENTRIES, max_size=6), st.sampled_from(["gnu", "pax"]))
def test_the_same_members_as_tarfile(entries: list[tuple[str, bytes, bytes, str]], form: str) -> None:
    data = pack(entries, _FORMATS[form])
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        theirs = []
        for info in archive:
            handle = archive.extractfile(info) if info.isreg() else None
            target = info.linkname if info.issym() else ""
            theirs.append(
                (info.name.rstrip("/"), _KINDS[info.type], target, handle.read() if handle else b"")
            )
    assert read(data) == theirs


@pytest.mark.skipif(shutil.which("tar") is None, reason="tar is not installed")
@pytest.mark.parametrize("form", ["ustar", "gnu", "pax", "v7"])
def test_the_system_s_tar(form: str, tmp_path: Path) -> None:
    long = "d" * 60 + "/" + "e" * 30
    deep = long if form == "v7" else f"{long}/{'f' * 40}"
    (tmp_path / deep).mkdir(parents=True)
    (tmp_path / deep / "config").write_bytes(b"\x86\x80" * 2048)
    (tmp_path / "driver").symlink_to("../drivers/igb")
    command = ["tar", f"--format={form}", "-cf", "-", "-C", str(tmp_path), "."]
    data = subprocess.run(command, capture_output=True, check=True).stdout
    found = {path: (kind, target, content) for path, kind, target, content in read(data)}
    assert found[f"./{deep}/config"] == ("file", "", b"\x86\x80" * 2048)
    assert found["./driver"] == ("link", "../drivers/igb", b"")
    assert found[f"./{long}"][0] == "folder"


@pytest.mark.skipif(shutil.which("tar") is None, reason="tar is not installed")
@pytest.mark.parametrize("form", ["gnu", "pax"])
def test_a_sparse_file_is_no_file(form: str, tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.seek(1 << 20)
        file.write(b"end")
    command = ["tar", f"--format={form}", "--sparse", "-cf", "-", "-C", str(tmp_path), "sparse"]
    data = subprocess.run(command, capture_output=True, check=True).stdout
    assert [kind for _, kind, _, _ in read(data)] == ["other"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: BLOCK // 2],
        lambda data: data[:BLOCK],
        lambda data: data[: 2 * BLOCK],
        lambda data: data[:10] + b"X" + data[11:],
        lambda data: b"",
        lambda data: b"\xff" * 2048,
    ],
    ids=["half a header", "no content", "no end", "header changed", "nothing", "ones"],
)
def test_damage_is_an_error(damage: object) -> None:
    assert callable(damage)
    whole = pack([("sys/x", tarfile.REGTYPE, b"data" * 100, "")], tarfile.PAX_FORMAT)
    assert len(read(whole)) == 1
    with pytest.raises(ValueError, match=r".+"):
        read(damage(whole))


@settings(max_examples=300, deadline=1000)
@given(st.data())
def test_damaged_archives_raise_nothing_else(data: st.DataObject) -> None:
    form = data.draw(st.sampled_from(sorted(_FORMATS)))
    entries = [("a" * 90, tarfile.REGTYPE, b"x" * 700, ""), ("b", tarfile.SYMTYPE, b"", "a")]
    whole = bytearray(pack(entries, _FORMATS[form]))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at] = data.draw(st.integers(0, 255))
    try:
        for member in members(bytes(whole)):
            assert member.size <= len(whole)
    except ValueError:
        return
