"""One reader for memory and disk: links stay inside the tree, what is missing says why."""

from __future__ import annotations

import os
from pathlib import Path

from bringup.pci.model import Missing
from bringup.pci.tree.files import FolderFiles, MemoryFiles

DEVICE = "sys/bus/pci/devices/0000:17:00.0"


def test_memory_follows_links_inside_the_tree() -> None:
    files = MemoryFiles(
        {"sys/devices/pci0000:16/0000:17:00.0/config": b"bytes"},
        {DEVICE: "../../../devices/pci0000:16/0000:17:00.0"},
    )
    assert files.read(f"{DEVICE}/config") == b"bytes"
    assert files.children(DEVICE) == ("config",)
    assert files.children("sys/bus/pci/devices") == ("0000:17:00.0",)
    assert files.link(DEVICE) == "../../../devices/pci0000:16/0000:17:00.0"


def test_memory_links_that_leave_the_tree_or_go_round_are_absent() -> None:
    files = MemoryFiles({"a": b"1"}, {"out": "../../etc/passwd", "x": "y", "y": "x"})
    assert files.read("out") == Missing("out", "absent")
    assert files.read("x") == Missing("x", "absent")


def test_an_empty_file_is_not_a_missing_one() -> None:
    files = MemoryFiles({"empty": b""}, missing={"config": "permission denied"})
    assert files.read("empty") == b""
    assert files.read("config") == Missing("config", "permission denied")


def test_a_folder_is_confined_to_its_root(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret").write_bytes(b"secret")
    (root / "inside").write_bytes(b"fine")
    (root / "out").symlink_to(tmp_path / "secret")
    (root / "in").symlink_to("inside")
    files = FolderFiles(root)
    assert files.read("in") == b"fine"
    assert files.read("out") == Missing("out", "link that leads out of the tree")
    assert files.read("../secret") == Missing("../secret", "link that leads out of the tree")
    assert files.children("") == ("in", "inside", "out")
    assert files.link("in") == "inside"


def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert FolderFiles(tmp_path).read("pipe") == Missing("pipe", "no regular file")
