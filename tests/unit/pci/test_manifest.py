"""The manifest: what it may say, and that following it reads that and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.base.errors import UsageError
from bringup.pci.model import Missing
from bringup.pci.tree.files import FolderFiles, MemoryFiles, names_in
from bringup.pci.tree.manifest import ManifestEntry, collect, expand, linux_manifest, parse_manifest

NIC = "sys/bus/pci/devices/0000:17:00.0"


def no_program(command: Sequence[str]) -> Missing:
    return Missing(" ".join(command), "absent")


def test_the_shipped_manifest_is_whole_and_reads_no_device_memory() -> None:
    entries = linux_manifest()
    paths = {(entry.kind, entry.path) for entry in entries}
    assert ("file", "sys/bus/pci/devices/*/config") in paths
    assert ("list", "sys/bus/pci/devices/*/msi_irqs") in paths
    assert ManifestEntry("command", "cmd/dmesg", ("dmesg",)) in entries
    # Reading resourceN or rom reads the device itself.
    assert not [path for _, path in paths if path.rpartition("/")[2].startswith(("resource0", "rom"))]


@pytest.mark.parametrize(
    "line",
    [
        "file",
        "file a b",
        "files sys/x",
        "file /etc/passwd",
        "file sys/../etc/passwd",
        "file sys//x",
        "file sys/$(reboot)",
        "link sys/a;b",
        "list sys/[ab]",
        "command dmesg",
        "command ../x dmesg",
        "command x dmesg >/dev/sda",
        "command x -rf",
    ],
)
def test_a_malformed_line_is_refused_with_its_number(line: str) -> None:
    with pytest.raises(UsageError, match="line 2"):
        parse_manifest(f"# a comment\n{line}\n")


def test_a_line_that_is_there_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="line 3 is there twice"):
        parse_manifest("file a\n\nfile a")


@given(st.text(max_size=200))
def test_random_text_is_a_manifest_or_a_sentence(text: str) -> None:
    try:
        for entry in parse_manifest(text):
            assert ".." not in entry.path.split("/") and not entry.path.startswith("/")
    except UsageError as error:
        assert "manifest line" in error.message


def test_what_the_manifest_names_is_collected_and_nothing_else(tmp_path: Path) -> None:
    device = tmp_path / NIC
    (device / "msi_irqs").mkdir(parents=True)
    (tmp_path / "sys/bus/pci/drivers/igb").mkdir(parents=True)
    (device / "config").write_bytes(b"\x86\x80")
    (device / "resource0").write_bytes(b"never read")
    (device / "driver").symlink_to("../../../../bus/pci/drivers/igb")
    entries = parse_manifest(
        "file sys/bus/pci/devices/*/config\nlink sys/bus/pci/devices/*/driver\n"
        "list sys/bus/pci/devices/*/msi_irqs\nlist sys/firmware/efi\ncommand uname uname -a\n"
    )
    asked: list[Sequence[str]] = []

    def run(command: Sequence[str]) -> bytes:
        asked.append(command)
        return b"Linux"

    files = collect(FolderFiles(tmp_path), entries, run)
    assert files.children(NIC) == ("config", "driver", "msi_irqs")
    assert files.read(f"{NIC}/config") == b"\x86\x80"
    assert files.link(f"{NIC}/driver") == "../../../../bus/pci/drivers/igb"
    assert files.read(f"{NIC}/msi_irqs") == b""
    assert names_in(files, f"{NIC}/msi_irqs") == ()
    assert names_in(files, "sys/firmware/efi") is None
    assert asked == [("uname", "-a")] and files.read("cmd/uname") == b"Linux"


def test_what_is_there_and_cannot_be_read_says_why() -> None:
    root = MemoryFiles({}, missing={"proc/iomem": "permission denied"})
    files = collect(root, parse_manifest("file proc/iomem\nfile proc/x\ncommand dmesg dmesg"), no_program)
    assert files.read("proc/iomem") == Missing("proc/iomem", "permission denied")
    assert files.read("proc/x") == Missing("proc/x", "absent")


def test_a_list_of_a_folder_that_is_captured_anyway_is_that_folder() -> None:
    root = MemoryFiles({"sys/firmware/efi/vars": b"1"})
    files = collect(root, parse_manifest("list sys/firmware/efi\nfile sys/firmware/efi/vars"), no_program)
    assert names_in(files, "sys/firmware/efi") == ("vars",)


def test_stars_match_inside_one_name() -> None:
    root = MemoryFiles({"t/SSDT": b"", "t/SSDT1": b"", "t/DSDT": b"", "t/SSDT2/x": b""})
    assert list(expand(root, "t/SSDT*")) == ["t/SSDT", "t/SSDT1", "t/SSDT2"]
    assert list(expand(root, "*/SSDT*/x")) == ["t/SSDT/x", "t/SSDT1/x", "t/SSDT2/x"]
