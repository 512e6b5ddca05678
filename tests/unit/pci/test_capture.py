"""Captures opened by content: every kind, several together, and one sentence for everything that is none."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bringup.base.errors import BringupError, LabError, ProfileError, UsageError
from bringup.pci.capture.local import live_files
from bringup.pci.capture.open import open_capture, open_local, read_bytes
from bringup.pci.model import Bar, Bdf, Machine
from bringup.pci.sources import sel4_log
from bringup.pci.sources.dmesg import addresses as dmesg
from bringup.pci.sources.lspci import machine as lspci_machine
from bringup.pci.sources.lspci import text as lspci
from bringup.pci.sources.pciconf import text as pciconf
from bringup.pci.tree.zstd import unpack_zstd
from bringup.probe.collector import collector_script
from tests.machines import lspci as lspci_words
from tests.machines import pciconf as pciconf_words
from tests.machines import sysfs
from tests.machines.bars import MadeBar
from tests.machines.caps import ENDPOINT, Express
from tests.machines.model import Made

NICS = (
    Made(
        Bdf(0, 0x17, 0, 0),
        0x8086,
        0x1521,
        0x0200,
        pin=1,
        driver="igb",
        bars=(MadeBar(0, False, 0xC5B00000, 1 << 20),),
        capabilities=(Express(ENDPOINT, flr=True, link=(4, 2)),),
    ),
    Made(Bdf(0, 0x18, 0, 0), 0x8086, 0x37D2, 0x0200, pin=2),
)
TEXTS = {
    lspci.KIND: lspci_words.text(NICS).encode(),
    lspci_machine.KIND: b"Slot:\t17:00.0\nClass:\tEthernet controller [0200]\nVendor:\tIntel [8086]\n"
    b"Device:\tI350 [1521]\nPhySlot:\t7\n",
    pciconf.KIND: pciconf_words.text(NICS).encode(),
    dmesg.KIND: b"pci 0000:17:00.0: [8086:1521] type 00 class 0x020000\n"
    b"pci 0000:17:00.0: reg 0x10: [mem 0xc5a00000-0xc5afffff]\n",
    sel4_log.KIND: b"ACPI: MADT_IOAPIC ioapic_id=8 ioapic_addr=0xfec00000 gsib=0\n",
}


def tar(prefix: str = "", more: dict[str, bytes] | None = None) -> bytes:
    """Return a tar of the machine as sysfs, every path after `prefix`."""
    told = sysfs.functions(NICS)
    return sysfs.archive(replace(told, files={**told.files, **(more or {})}), prefix, bytes)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    sysfs.write(root, sysfs.functions(NICS))
    return root


def put(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def check(machine: Machine) -> None:
    first = machine.functions[0]
    assert (first.bdf.short, first.vendor, first.device) == ("17:00.0", 0x8086, 0x1521)
    assert first.bars == (Bar(0, "mem", 0xC5B00000, 1 << 20),)


@pytest.mark.parametrize("kind", TEXTS)
def test_a_text_is_known_by_its_content(kind: str, tmp_path: Path) -> None:
    machine = open_capture([put(tmp_path, "misleading.tar.gz", TEXTS[kind])])
    assert [source.kind for source in machine.sources] == [kind]
    assert len(machine.sources[0].sha256) == 64


@pytest.mark.parametrize(
    "pack", [bytes, gzip.compress, bz2.compress, lzma.compress], ids=["tar", "gz", "bz2", "xz"]
)
@pytest.mark.parametrize("prefix", ["", "./", "host/", "captures/host/"])
def test_an_archive_of_a_tree(pack: Callable[[bytes], bytes], prefix: str, tmp_path: Path) -> None:
    machine = open_capture([put(tmp_path, "x", pack(tar(prefix)))])
    check(machine)
    assert machine.functions[0].driver == "igb" and machine.sources[0].kind == "linux"


@pytest.mark.skipif(shutil.which("zstd") is None, reason="zstd is not installed")
@pytest.mark.parametrize("kind", ["tar", "text"])
def test_what_zstd_packed_is_read(kind: str, tmp_path: Path) -> None:
    plain = tar() if kind == "tar" else TEXTS["lspci-machine"]
    packed = subprocess.run(["zstd", "-cq"], input=plain, capture_output=True, check=True).stdout
    assert open_capture([put(tmp_path, "x", packed)]).functions
    with pytest.raises(UsageError, match="cut short or damaged"):
        open_capture([put(tmp_path, "x", packed[:-20])])


@pytest.mark.skipif(shutil.which("zstd") is None, reason="zstd is not installed")
def test_a_small_file_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    """It is read no further than the limit."""
    assert len(unpack_zstd(zeros(3 << 20), 1 << 20)) == 1 << 20
    with pytest.raises(UsageError, match="unpacks to more than"):
        open_capture([put(tmp_path, "x", zeros(80 << 20))])


def zeros(count: int) -> bytes:
    made = subprocess.run(["zstd", "-cq"], input=bytes(count), capture_output=True, check=False)
    return made.stdout


def test_without_zstd_it_is_told_what_the_file_is(tmp_path: Path, monkeypatch) -> None:
    path = put(tmp_path, "dmesg.zst", b"\x28\xb5\x2f\xfd" + bytes(40))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match=r"dmesg\.zst is compressed with zstd") as refused:
        open_capture([path])
    assert "unpack it first" in str(refused.value.hint)


def test_a_named_pipe_is_refused_and_never_opened(tmp_path: Path) -> None:
    """Whether or not somebody writes to it; a shell's own pipe has no name, and is read."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(UsageError, match="named pipe"):
        open_capture([pipe])
    # A writer that does not wait gets an error as long as nobody has opened the other end.
    with pytest.raises(OSError, match="No such device"):
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    reader, writer = os.pipe()
    os.write(writer, TEXTS["lspci-machine"])
    os.close(writer)
    assert open_capture([Path(f"/dev/fd/{reader}")]).functions
    os.close(reader)


@pytest.mark.parametrize(
    "below", [".", "..", "sys", "sys/bus/pci/devices"], ids=["root", "prefix", "sys", "devices"]
)
def test_a_folder_at_any_level(below: str, tree: Path) -> None:
    machine = open_capture([tree / below])
    check(machine)
    assert len(machine.functions) == 2


def test_a_copy_of_the_devices_folder_alone(tree: Path) -> None:
    copy = tree.parent / "copy"
    (tree / "sys/bus/pci/devices").rename(copy)
    check(open_capture([copy]))


def test_a_tree_as_linux_lays_it_out_behind_links(tmp_path: Path) -> None:
    """In sysfs the entries of the devices folder are links that lead up and down again."""
    root = tmp_path / "root"
    files = sysfs.functions(NICS).files
    moved = {path.replace("sys/bus/pci/devices", "sys/devices/pci0000:16"): d for path, d in files.items()}
    links = {f"sys/bus/pci/devices/{nic.bdf}": f"../../../devices/pci0000:16/{nic.bdf}" for nic in NICS}
    sysfs.write(root, sysfs.Tree(moved, links))
    check(open_capture([root]))
    check(open_capture([root / "sys"]))
    check(open_capture([root / "sys/bus/pci/devices"]))


def test_sources_of_one_machine_merge_best_first(tmp_path: Path) -> None:
    paths = [put(tmp_path, name, TEXTS[name]) for name in (dmesg.KIND, lspci_machine.KIND)]
    machine = open_capture([*paths, put(tmp_path, "tree.tar", tar())])
    check(machine)
    assert [source.kind for source in machine.sources] == ["linux", lspci_machine.KIND, dmesg.KIND]
    first = machine.functions[0]
    assert first.slot == "7" and first.provenance["slot"] == lspci_machine.KIND
    assert first.firmware_bars == (Bar(0, "mem", 0xC5A00000, 1 << 20),)
    assert first.provenance["bars"] == "tree.tar:resource"


def test_two_files_of_one_name_have_different_provenance(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    paths = [put(tmp_path / "a", "x", TEXTS[lspci.KIND]), put(tmp_path / "b", "x", TEXTS[pciconf.KIND])]
    assert len({source.name for source in open_capture(paths).sources}) == 2


def test_names_are_added(tmp_path: Path) -> None:
    if not Path("/usr/share/misc/pci.ids").is_file():
        pytest.skip("no pci.ids on this machine (package pci.ids)")
    machine = open_capture([put(tmp_path, "x", TEXTS[dmesg.KIND])])
    assert machine.functions[0].device_name == "I350 Gigabit Network Connection"
    assert machine.functions[0].provenance["device_name"] == "pci.ids"


def sentence(error: BringupError, *words: str) -> None:
    """The message is one line and names what matters."""
    assert "\n" not in error.message and len(error.message) < 300
    for word in words:
        assert word in error.message


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "a JPEG picture"),
        (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
        (b"\x7fELF\x02\x01", "a program"),
        (b"\x00\x01\x02", "binary data"),
        (b"hello\n", "a text of another kind"),
        (gzip.compress(b"hello", mtime=0), "is no tar"),
        (gzip.compress(tar())[:-200], "cut short or damaged"),
        (tar()[: -1024 - 700], "cut short or damaged"),
        (bz2.compress(tar())[:-100], "cut short or damaged"),
    ],
)
def test_a_file_that_is_no_capture(data: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        open_capture([put(tmp_path, "it", data)])
    sentence(caught.value, "it", words)
    assert caught.value.exit_code == 2


def bad_member(name: str, kind: bytes, target: str = "") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        archive.addfile(info)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (bad_member("../etc/passwd", tarfile.REGTYPE), "leads out of the archive"),
        (bad_member("/etc/passwd", tarfile.REGTYPE), "leads out of the archive"),
        (bad_member("sys/x", tarfile.LNKTYPE, "y"), "neither file, folder nor symbolic link"),
        (bad_member("sys/x", tarfile.FIFOTYPE), "neither file, folder nor symbolic link"),
        (bad_member("sys/x", tarfile.REGTYPE), "no PCI functions"),
        (bad_member("a/b/c/d/sys/bus/pci/devices/x", tarfile.REGTYPE), "more than 2 folders deep"),
        (tar(more={"b/sys/bus/pci/devices/0000:00:00.0/config": b""}), "holds several machines"),
    ],
)
def test_an_archive_that_is_no_capture(data: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        open_capture([put(tmp_path, "it.tar", data)])
    sentence(caught.value, "it.tar", words)


def test_a_link_that_leads_out_of_an_archive_reads_nothing(tmp_path: Path) -> None:
    secret = put(tmp_path, "secret", b"\x86\x80" * 32)
    for target in (str(secret), "../" * 9 + "etc/passwd", "config"):
        data = bad_member("sys/bus/pci/devices/0000:00:00.0/config", tarfile.SYMTYPE, target)
        with pytest.raises(UsageError, match="no PCI functions"):
            open_capture([put(tmp_path, "it.tar", data)])


def test_a_link_that_leads_out_of_a_folder_reads_nothing(tree: Path) -> None:
    config = tree / "sys/bus/pci/devices/0000:17:00.0/config"
    outside = put(tree.parent, "outside", config.read_bytes())
    config.unlink()
    config.symlink_to(outside)
    first = open_capture([tree]).functions[0]
    # The identity files still tell the ids; the pin was in the config space alone.
    assert first.vendor == 0x8086 and not first.observed("intx_pin")


def test_places_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        open_capture([tmp_path / "nothing"])
    sentence(caught.value, "nothing", "no such file")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError) as caught:
        open_capture([tmp_path / "empty"])
    sentence(caught.value, "no PCI functions in the folder")
    with pytest.raises(UsageError, match="neither a file nor a folder"):
        open_capture([Path("/dev/null")])
    with pytest.raises(UsageError, match="no capture was named"):
        open_capture([])


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read every folder")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    with pytest.raises(UsageError) as caught:
        open_capture([tmp_path / "closed"])
    sentence(caught.value, "closed", "permission denied")


def test_a_folder_that_the_system_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UsageError, match=r"cannot read the folder .*: permission denied"):
        open_capture([tmp_path])


def test_a_file_beyond_the_limit_ends_at_the_limit(tmp_path: Path) -> None:
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(UsageError, match="more than 64 MiB"):
        open_capture([huge])


def test_two_machines_are_refused(tmp_path: Path) -> None:
    other = lspci_words.text([Made(NICS[0].bdf, 0x10EC, 0x8168, 0x0200)]).encode()
    with pytest.raises(ProfileError) as caught:
        open_capture([put(tmp_path, "a", TEXTS[lspci.KIND]), put(tmp_path, "b", other)])
    sentence(caught.value, "two machines", "17:00.0", "8086:1521", "10ec:8168")
    assert caught.value.exit_code == 12


@pytest.mark.skipif(sys.platform != "linux", reason="the collector is for Linux")
def test_a_bundle_of_the_collector_is_opened_and_guarded(tree: Path) -> None:
    bundle = tree.parent / "bundle.tar.gz"
    subprocess.run(
        ["sh", "-s", "--", "-r", str(tree), "-o", str(bundle)],
        input=collector_script().encode(),
        check=True,
        capture_output=True,
    )
    machine = open_capture([bundle])
    check(machine)
    # The manifest was followed, so what is not there did not exist.
    assert machine.functions[1].observed("driver") and machine.functions[1].driver is None
    assert machine.functions[0].net == ()
    plain = gzip.decompress(bundle.read_bytes())
    assert plain.count(b"0x1521\n") == 1
    with pytest.raises(UsageError, match=r"is damaged: .*device was changed since it was captured"):
        read_bytes(plain.replace(b"0x1521\n", b"0x1522\n"), "bundle")


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    class Pipe:
        buffer = io.BytesIO(TEXTS[lspci.KIND])

    monkeypatch.setattr(sys, "stdin", Pipe())
    machine = open_capture([Path("-")])
    assert machine.sources[0].name == "stdin"


def test_the_live_machine() -> None:
    if not any(Path("/sys/bus/pci/devices").glob("*")):
        pytest.skip("this machine has no PCI functions")
    machine = open_local()
    names = {path.name for path in Path("/sys/bus/pci/devices").iterdir()}
    assert {str(function.bdf) for function in machine.functions} == names
    assert machine.sources[0].name == "local" and len(machine.sources[0].sha256) == 64
    assert all(function.observed("driver") and function.observed("vendor") for function in machine.functions)


def test_a_machine_without_pci_is_a_sentence() -> None:
    with pytest.raises(LabError, match="shows no PCI functions"):
        live_files(())


def test_opening_a_capture_loads_no_heavy_library() -> None:
    code = (
        "import sys, bringup.pci.capture.open; "
        "print([m for m in ('pyudev', 'lark', 'pydantic', 'aiohttp', 'tarfile') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("kind", TEXTS)
def test_a_mark_that_an_editor_puts_before_a_text_is_no_matter(kind: str) -> None:
    marked = read_bytes(b"\xef\xbb\xbf" + TEXTS[kind], "it")
    assert marked == read_bytes(TEXTS[kind], "it")


def test_standard_input_is_read_once() -> None:
    with pytest.raises(UsageError, match="named twice"):
        open_capture([Path("-"), Path("-")])


@settings(max_examples=200, deadline=3000)
@given(st.binary(max_size=2000))
def test_random_bytes_are_a_sentence(data: bytes) -> None:
    with pytest.raises(BringupError) as caught:
        read_bytes(data, "it")
    sentence(caught.value)


@settings(max_examples=150, deadline=3000)
@given(st.data())
def test_damaged_captures_end_in_a_machine_or_a_sentence(data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from([*TEXTS.values(), tar()]))
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(damaged)))
        damaged[at : at + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=40))
    try:
        assert read_bytes(bytes(damaged), "it").sources
    except BringupError as error:
        sentence(error)


@pytest.mark.slow
@pytest.mark.parametrize(
    "unit",
    [
        b"\t",
        b"\n",
        b"Slot:\t17:00.0\n",
        b"PCI :: ",
        b"PCI :: 17.00.00 : ",
        b"00:00.0 a [0200]: b [8086:1521]\n\t",
        b"pci 0000:17:00.0: ",
        b"pci 0000:17:00.0: reg 0x10: [mem 0x0-0x1]\n",
        b"igb0@pci0:0:0:0:\tclass=0x0\n",
        b"    cap 10[40] = PCI-Express 2 \n",
        b"DMI: ",
        b"ACPI: MADT_IOAPIC ioapic_id=",
    ],
)
def test_hostile_repetition_ends_soon(unit: bytes) -> None:
    long = unit * ((1 << 20) // len(unit))
    started = time.monotonic()
    for start in (b"", *TEXTS.values()):
        try:
            read_bytes(start + long, "it")
        except BringupError as error:
            sentence(error)
    assert time.monotonic() - started < 120  # minutes where a reader looks back from every line
