"""The collector script, run by real shells: the tree it packs is the one that the live reader makes."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from bringup.pci.model import Missing
from bringup.pci.tree.bundle import Tree, read_archive
from bringup.pci.tree.files import FolderFiles
from bringup.pci.tree.manifest import collect, linux_manifest, parse_manifest
from bringup.probe.collector import collector_script, entry_words

DEVICE = "sys/bus/pci/devices/0000:17:00.0"
SHELLS = [["busybox", "ash"], ["dash"], ["bash", "--posix"], ["bash"]]


def shells() -> list[list[str]]:
    return [shell for shell in SHELLS if shutil.which(shell[0])]


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("collector") / "collect.sh"
    path.write_text(collector_script())
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine as /sys shows one: functions are links into a tree of their own."""
    root = tmp_path / "machine"
    real = root / "sys/devices/pci0000:16/0000:16:00.0/0000:17:00.0"
    (real / "msi_irqs").mkdir(parents=True)
    for name in ("31", "30", "4"):
        (real / "msi_irqs" / name).write_text("msix\n")
    (real / "net" / "eth0").mkdir(parents=True)
    (real / "net/eth0/address").write_text("52:54:00:0e:30:10\n")
    (real / "config").write_bytes(bytes(range(256)))
    (real / "resource").write_text("0x0 0x0 0x0\n" * 13)
    (real / "label").write_bytes(b"no newline at the end")
    (real / "rom").write_text("must not be read")
    (real / "resource0").write_text("must not be read")
    (root / "sys/bus/pci/drivers/e1000e").mkdir(parents=True)
    (real / "driver").symlink_to("../../../../bus/pci/drivers/e1000e")
    quiet = root / "sys/devices/pci0000:16/0000:17:00.1"
    (quiet / "msi_irqs").mkdir(parents=True)
    (quiet / "config").write_bytes(b"\xff" * 64)
    devices = root / "sys/bus/pci/devices"
    devices.mkdir(parents=True)
    (devices / "0000:17:00.0").symlink_to(f"../../../devices/{real.relative_to(root / 'sys/devices')}")
    (devices / "0000:17:00.1").symlink_to("../../../devices/pci0000:16/0000:17:00.1")
    (root / "sys/firmware/acpi/tables").mkdir(parents=True)
    for name in ("APIC", "SSDT1", "SSDT2", "DSDT", "SLIC"):
        (root / "sys/firmware/acpi/tables" / name).write_bytes(name.encode() + b"\0\1\2")
    (root / "proc").mkdir()
    (root / "proc/interrupts").write_text("           CPU0\n")
    return root


def run(
    shell: list[str], script: Path, *words: str, cwd: Path, temporary: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "TMPDIR": str(temporary or cwd)}
    return subprocess.run(
        [*shell, str(script), *words], cwd=cwd, env=environment, capture_output=True, check=False
    )


@pytest.mark.parametrize("shell", shells(), ids=" ".join)
def test_the_tree_is_the_live_readers(shell: list[str], script: Path, root: Path, tmp_path: Path) -> None:
    done = run(shell, script, "-r", str(root), "-o", "bundle.tar.gz", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle.tar.gz", "machine"]
    tree = read_archive((tmp_path / "bundle.tar.gz").read_bytes(), "bundle")
    live = collect(FolderFiles(root), linux_manifest(), lambda words: Missing(words[0], "absent"))
    own = {"missing", "manifest", "SHA256SUMS"}
    taken = {
        path: data for path, data in tree.files.items() if path not in own and not path.startswith("cmd/")
    }
    assert taken == {path: live.read(path) for path in taken}
    assert tree.links == {f"{DEVICE}/driver": "../../../../bus/pci/drivers/e1000e"}
    expected = {
        f"{DEVICE}/config",
        f"{DEVICE}/resource",
        f"{DEVICE}/label",
        f"{DEVICE}/msi_irqs",
        f"{DEVICE}/net/eth0/address",
        "sys/bus/pci/devices/0000:17:00.1/config",
        "sys/bus/pci/devices/0000:17:00.1/msi_irqs",
        "sys/firmware/acpi/tables/APIC",
        "sys/firmware/acpi/tables/DSDT",
        "sys/firmware/acpi/tables/SSDT1",
        "sys/firmware/acpi/tables/SSDT2",
        "proc/interrupts",
    }
    assert set(taken) == expected
    assert tree.files[f"{DEVICE}/msi_irqs"] == b"30\n31\n4\n"
    assert tree.files["sys/bus/pci/devices/0000:17:00.1/msi_irqs"] == b""
    assert parse_manifest(tree.files["manifest"].decode()) == linux_manifest()
    assert_sums_hold(tree)


def assert_sums_hold(tree: Tree) -> None:
    sums = dict(line.split("  ./")[::-1] for line in tree.files["SHA256SUMS"].decode().splitlines())
    assert set(sums) == set(tree.files) - {"SHA256SUMS"}
    for path, digest in sums.items():
        assert hashlib.sha256(tree.files[path]).hexdigest() == digest, path


@pytest.mark.parametrize("shell", shells(), ids=" ".join)
def test_what_cannot_be_read_is_told_with_the_reason(
    shell: list[str], script: Path, root: Path, tmp_path: Path
) -> None:
    # Reading address 0 of a process fails with EIO, for root too, as `carrier` of a port that is down fails.
    carrier = root / "sys/devices/pci0000:16/0000:16:00.0/0000:17:00.0/net/eth0/carrier"
    carrier.symlink_to("/proc/self/mem")
    done = run(shell, script, "-r", str(root), "-o", "-", cwd=tmp_path)
    assert done.returncode == 0
    tree = read_archive(done.stdout, "bundle")
    assert f"{DEVICE}/net/eth0/carrier" not in tree.files
    told = dict(line.split("\t") for line in tree.files["missing"].decode().splitlines())
    assert told[f"{DEVICE}/net/eth0/carrier"] == "input/output error"
    assert b"could not be read" in done.stderr


@pytest.mark.parametrize("shell", shells(), ids=" ".join)
def test_a_place_that_cannot_be_written_is_one_sentence(
    shell: list[str], script: Path, root: Path, tmp_path: Path
) -> None:
    for words, text in (
        (("-r", str(tmp_path / "empty")), "no /sys/bus/pci/devices"),
        (("-r", str(root), "-o", str(root)), "is a folder"),
        (("-r", str(root), "-o", "/proc/version/x"), "cannot write"),
        (("-r", str(root), "more"), "usage"),
    ):
        done = run(shell, script, *words, cwd=tmp_path)
        assert done.returncode != 0, words
        assert text in done.stderr.decode(), done.stderr
        assert done.stdout == b""
    done = run(shell, script, "-r", str(root), cwd=tmp_path, temporary=tmp_path / "absent")
    assert done.returncode != 0
    # Nothing was left anywhere, neither the folder of its own nor half a capture.
    assert [path.name for path in tmp_path.iterdir()] == ["machine"]


def test_by_default_the_file_is_named_by_time(script: Path, root: Path, tmp_path: Path) -> None:
    assert run(["sh"], script, "-r", str(root), cwd=tmp_path).returncode == 0
    name = next(path.name for path in tmp_path.iterdir() if path.name != "machine")
    assert name.startswith("bringup-capture-2")
    assert name.endswith("Z.tar.gz")


def test_a_terminated_script_leaves_nothing(script: Path, root: Path, tmp_path: Path) -> None:
    slow = tmp_path / "bin"
    slow.mkdir()
    (slow / "dmesg").write_text("#!/bin/sh\nkill $PPID\nsleep 1\n")
    (slow / "dmesg").chmod(0o755)
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PATH": f"{slow}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", str(script), "-r", str(root), "-o", "out"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 143
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "machine"]


def test_shellcheck_finds_nothing(script: Path) -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed: apt install shellcheck")
    done = subprocess.run(
        ["shellcheck", "-s", "sh", str(script)], capture_output=True, text=True, check=False
    )
    assert done.stdout == ""


def test_devices_are_never_read_through_their_resource_files() -> None:
    for entry in linux_manifest():
        last = entry.path.rpartition("/")[2]
        assert last != "rom"
        assert last == "resource" or not last.startswith("resource")
        assert entry_words(entry)[0] in ("file", "link", "list", "command")


def test_the_archive_is_an_ordinary_one(script: Path, root: Path, tmp_path: Path) -> None:
    done = run(["sh"], script, "-r", str(root), "-o", "-", cwd=tmp_path)
    with tarfile.open(fileobj=io.BytesIO(done.stdout), mode="r:gz") as tar:
        assert not [member for member in tar if member.name.startswith("/") or ".." in member.name]
