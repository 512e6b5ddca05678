"""Each thing that an image may demand, in one table: what a dry run, a boot and a check of its build say.

The kernels are C with seL4's words and options, compiled here; the build folders are as CMake leaves them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from bringup.base.errors import BringupError
from bringup.base.paths import state_dir
from bringup.image.needs import FEATURES
from tests.unit.cli.test_boot import LAB, invoke
from tests.unit.image.test_elf import build_elf, root_task
from tests.unit.image.test_multiboot import multiboot1, multiboot2
from tests.unit.image.test_needs import compiled

pytestmark = pytest.mark.usefixtures("home", "in_folder")

# The virtual board, a real one, and one whose processor has 64-bit mode and nothing else (`old`), or not even
# that (`oldest`).
BOARDS = {"e300": "twin-e300-9d", "e300-1": "supermicro-e300-9d", "old": "old", "oldest": "oldest"}
OLD = """extends = "supermicro-e300-9d"
title = "an old board"
[sources]
test = "this test"
[processor]
threads = {{ value = 2, grade = "HIGH", source = "test" }}
features = {{ value = [{}], grade = "HIGH", source = "test" }}
"""
APP = """assembly {
    composition { component VM vm0; }
    configuration {
        vm0.guest_ram_mb = 64; vm0.simple_untyped24_pool = 8;
        vm0.pci_devices = [{"name":"eth", "bus":0x17, "dev":0, "fun":0, "irq":"eth_irq", "memory":[]}];
    }
}
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A build and what is said of it on a board: `says` a piece of the sentence, `do` of the way out.

    `features` are those that the kernel demands; `boot` is "refused" or "told", `check` a severity. Where
    `says` is None, nothing is said of the build.
    """

    board: str
    features: tuple[str, ...] = ()
    cache: str = ""
    says: str | None = None
    do: str = ""
    boot: str = "refused"
    check: str | None = "error"
    printing: bool = True
    bits: int = 64
    vms: int = 0


def lacks(board: str, title: str, do: str, **more: object) -> Row:
    return Row(board, (title,), says=f"has no {title}, and this kernel does not run without", do=do, **more)  # type: ignore[arg-type]


def told(board: str, cache: str, says: str, do: str, **more: object) -> Row:
    return Row(board, cache=cache, says=says, do=do, boot="told", **{"check": "warning", **more})  # type: ignore[arg-type]


ROWS = {
    "PCID": lacks("e300", "PCID", "-DKernelSupportPCID=OFF, or --engine bochs, or boot it on a real board"),
    "INVPCID": lacks("e300", "INVPCID", "-DKernelSupportPCID=OFF"),
    "PCID, by its option": Row(
        "e300", (), "KernelSupportPCID:BOOL=ON\nKernelSel4Arch:STRING=x86_64\n", None
    ),  # the kernel itself says that it does without
    "FSGSBASE": lacks("old", "FSGSBASE", "-DKernelFSGSBase=msr, or boot it on another board"),
    "huge pages": lacks("old", "1 GiB pages", "-DKernelHugePage=OFF"),
    "XSAVE": lacks("old", "XSAVE", "-DKernelFPU=FXSAVE"),
    "XSAVEOPT": lacks("old", "XSAVEOPT", "-DKernelXSave=XSAVE"),
    "XSAVEC": lacks("e300", "XSAVEC", "-DKernelXSave=XSAVE"),
    "XSAVES": lacks("e300", "XSAVES", "-DKernelXSave=XSAVE"),
    "XSAVES, RELEASE": Row(
        "e300", cache="KernelXSave:STRING=XSAVES\n", printing=False,
        says="has no XSAVES, and this kernel does not run without", do="-DKernelXSave=XSAVE",
    ),
    "IBRS": lacks("e300", "IBRS", "-DKernelX86IBRSMode=ibrs_none"),
    "IBPB": lacks("e300", "IBPB", "-DKernelX86IBPBOnContextSwitch=OFF"),
    "x2APIC": lacks("e300", "x2APIC", "-DKernelLAPICMode=XAPIC"),
    "VT-x": lacks("e300", "VT-x", "-DKernelVTX=OFF", check=None),  # a check has VMs, which cannot do without
    "VMs in the root task": Row(
        "e300", vms=3, says="has no VT-x, and an image with VMs does not run without",
        do="--engine bochs, or boot it on a real board",
    ),
    "VMs in the root task, RELEASE": Row(
        "e300", vms=1, printing=False, says="has no VT-x, and an image with VMs does not run without",
        do="--engine bochs, or boot it on a real board",
    ),
    "64 bit": lacks("oldest", "64-bit mode", "-DKernelSel4Arch=ia32"),
    "32 bit": Row("oldest", cache="KernelSel4Arch:STRING=ia32\nKernelSupportPCID:BOOL=ON\n", bits=32),
    "a board that has it all": Row("e300-1", tuple(feature.title for feature in FEATURES)),
    "RELEASE": told(
        "e300-1", "RELEASE:BOOL=ON\n", "a RELEASE build: the kernel prints nothing", "-DRELEASE=OFF",
        printing=False,
    ),
    "IOMMU": told(
        "e300-1", "KernelIOMMU:BOOL=OFF\n", "the kernel keeps the IOMMU off", "-DKernelIOMMU=ON", vms=1
    ),
    "ConsoleDevice": told(
        "e300-1", "LibPlatSupportX86ConsoleDevice:STRING=com1\n", "the build prints to com1, and",
        "-DLibPlatSupportX86ConsoleDevice=com2", check="error",
    ),
    "ConsoleDevice as it is": Row("e300-1", cache="LibPlatSupportX86ConsoleDevice:STRING=com2\n"),
    "SIMULATION": told(
        "e300-1", "SIMULATION:BOOL=ON\n", "the build is for an emulator (SIMULATION)", "-DSIMULATION=OFF"
    ),
    "SIMULATION on the twin": Row("e300", cache="SIMULATION:BOOL=ON\n"),
    "MaxNumNodes": told(
        "old", "KernelMaxNumNodes:STRING=4\n", "the kernel is built for 4 processors, and an old board has 2",
        "-DKernelMaxNumNodes=2",
    ),
    "memory": Row(
        "e300", cache="KernelRootCNodeSizeBits:STRING=27\n", check=None,
        says="takes 4097 MiB before anything runs, and the machine has 4096 MiB", do="--memory 4097",
    ),
}  # fmt: skip


@pytest.fixture
def lab(in_folder: Path) -> None:
    boards = '[boards.e300]\nprofile = "twin-e300-9d"\ntwin = true\n' + LAB
    for name in ("old", "oldest"):
        boards += (
            LAB.replace("e300-1", name)
            .replace("supermicro-e300-9d", name)
            .replace("0e:30:17", f"0e:30:{len(name)}0")
            .replace("10.0.0.17", f"10.0.0.{len(name)}0")
        )
    (in_folder / "lab.toml").write_text(boards)
    (in_folder / "boards").mkdir()
    (in_folder / "boards" / "old.toml").write_text(OLD.format('"lm"'))
    (in_folder / "boards" / "oldest.toml").write_text(OLD.format(""))


def built(folder: Path, row: Row) -> Path:
    """What the row's build leaves."""
    images = folder / "build" / "images"
    images.mkdir(parents=True)
    own = ("64-bit mode",) if row.bits == 64 else ()
    code = compiled(folder, *dict.fromkeys((*own, *row.features)), printing=row.printing)
    arch = "x86_64" if row.bits == 64 else "ia32"
    (images / f"kernel-{arch}-pc99").write_bytes(build_elf(multiboot1() + bytes(4) + multiboot2() + code))
    (images / f"capdl-loader-image-{arch}-pc99").write_bytes(root_task(row.vms, bits=row.bits))
    (images.parent / "CMakeCache.txt").write_text(row.cache)
    return images.parent


def refused(row: Row, *words: str) -> str:
    """The sentence and the way out with which a boot is refused."""
    engine = ["--engine", "qemu"] if row.board == "e300" else []
    error = invoke("boot", row.board, *words, *engine).exception
    assert isinstance(error, BringupError)
    assert error.exit_code == 11
    return f"{error.message}: {error.hint}"


def planned(row: Row, *words: str) -> list[str]:
    """What a plan is careful about."""
    result = invoke("boot", row.board, *words, "--dry-run", "--json")
    assert result.exit_code == 0, result.exception
    return [str(caution) for caution in json.loads(result.stdout)["cautions"]]


def checked(row: Row, build: Path) -> list[tuple[str, str]]:
    """Severity, and sentence and way out, of what a check says of the build."""
    app = build.parent / "app.camkes"
    app.write_text(APP)
    words = ("--build-dir", str(build), "--profile", BOARDS[row.board], "--json")
    findings = json.loads(invoke("camkes", "check", str(app), *words).stdout)["findings"]
    rules = ("F9", "F10", "F11", "F12", "C45", "C46")
    found = [(f["severity"], f"{f['message']}: {f['fix']}") for f in findings if f["rule"] in rules]
    # The application's own VM, of which the row's image knows nothing.
    return found if row.vms else [each for each in found if "an image with VMs" not in each[1]]


def is_told(row: Row, text: str) -> bool:
    return row.says is not None and row.says in text and row.do in text


@pytest.mark.usefixtures("lab")
@pytest.mark.parametrize("name", ROWS)
def test_what_an_image_demands_is_told_alike_everywhere(tmp_path: Path, name: str) -> None:
    row = ROWS[name]
    build = built(tmp_path, row)
    if row.says is None:
        assert planned(row, str(build)) == []
        assert checked(row, build) == []
        return
    if row.boot == "refused":
        dry, real = refused(row, str(build), "--dry-run"), refused(row, str(build))
        assert dry == real
        assert is_told(row, real), real
        assert not (state_dir() / "runs").exists()
    else:
        (caution,) = planned(row, str(build))
        assert is_told(row, caution), caution
    if row.check is not None:
        assert [severity for severity, text in checked(row, build) if is_told(row, text)] == [row.check]
