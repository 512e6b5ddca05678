"""One reader for memory and disk: links stay inside the tree, what is missing says why."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

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


_NAMES = st.sampled_from(["a", "b", "c"])
_PATHS = st.lists(_NAMES, min_size=1, max_size=3).map("/".join)
_TARGETS = st.lists(st.sampled_from(["a", "b", "c", "..", "."]), min_size=1, max_size=5).map("/".join)


@example(folders=[], links=[("a", "a/..")], asked="a")
@example(folders=["b"], links=[("a", "a"), ("b/b", "a/..")], asked="b/b")
@given(
    folders=st.lists(_PATHS, max_size=4),
    links=st.lists(st.tuples(_PATHS, _TARGETS), max_size=5),
    asked=_PATHS,
)
def test_links_lead_where_the_system_says(
    folders: list[str], links: list[tuple[str, str]], asked: str
) -> None:
    with tempfile.TemporaryDirectory() as place:
        root = Path(place).resolve() / "root"
        root.mkdir()
        for path in folders:
            (root / path / "here").mkdir(parents=True, exist_ok=True)
        for path, target in links:
            if (root / path).parent.is_dir() and not os.path.lexists(root / path):
                (root / path).symlink_to(target)
        files = FolderFiles(root)
        real = os.path.realpath(root / asked)
        # The path as asked: of links that lead to themselves `realpath` makes one that no call follows.
        inside = f"{real}/".startswith(f"{root}/") and (root / asked).is_dir()
        assert files.is_folder(asked) == inside
        assert files.children(asked) == (
            tuple(sorted(each.name for each in Path(real).iterdir())) if inside else ()
        )


def test_a_link_that_goes_round_is_absent(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "deep").symlink_to("/".join(["x"] * 2000))
    files = FolderFiles(tmp_path)
    assert files.children("a/x") == files.children("deep") == ()
    assert isinstance(files.read("b/config"), Missing)
