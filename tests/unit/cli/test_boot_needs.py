"""Images that a machine cannot run: refused before anything is touched, the same by a dry run and a check."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bringup.base.errors import BringupError
from bringup.base.paths import state_dir
from bringup.image.needs import START_64_TEXT
from tests.unit.cli.test_boot import LAB, invoke
from tests.unit.image.test_elf import build_elf, root_task
from tests.unit.image.test_multiboot import multiboot1, multiboot2

pytestmark = pytest.mark.usefixtures("home", "in_folder")

PCID = b"PCIDs not supported by the processor\r\n\0INVPCID instruction not supported by the processor\r\n\0"
PRINTS = b"Booting all finished, dropped to user space\n\0"
VTX = b"vt-x: not supported\n\0"
REFUSED = "the twin's QEMU has no PCID and no INVPCID, and this kernel does not run without"
APP = """assembly {
    composition { component VM vm0; }
    configuration { vm0.guest_ram_mb = 64; vm0.simple_untyped24_pool = 8; }
}
"""


def built(
    folder: Path, *texts: bytes, vms: int = 0, cache: str | None = None, root: bytes | None = None
) -> Path:
    """What a build leaves: images/ with a kernel that holds these texts, and CMakeCache.txt."""
    images = folder / "build" / "images"
    images.mkdir(parents=True, exist_ok=True)
    headers = multiboot1() + bytes(4) + multiboot2()
    kernel = build_elf(headers + START_64_TEXT + b"\0" + b"".join(texts))
    (images / "kernel-x86_64-pc99").write_bytes(kernel)
    (images / "capdl-loader-image-x86_64-pc99").write_bytes(root or root_task(vms))
    if cache is not None:
        (folder / "build" / "CMakeCache.txt").write_text(cache)
    return folder / "build"


def refusal(*words: str) -> BringupError:
    result = invoke(*words)
    assert isinstance(result.exception, BringupError), (result.exception, result.output)
    return result.exception


def plan(*words: str) -> dict[str, object]:
    result = invoke("boot", *words, "--dry-run", "--json")
    assert result.exit_code == 0, result.exception
    body = json.loads(result.stdout)
    assert isinstance(body, dict)
    return body


def cautions(*words: str) -> str:
    told = plan(*words)["cautions"]
    assert isinstance(told, list)
    return "\n".join(told)


def test_refused_before_anything_is_touched_and_the_same_by_a_dry_run(tmp_path: Path) -> None:
    build = str(built(tmp_path, PCID, PRINTS))
    dry, real = refusal("boot", "e300", build, "--dry-run"), refusal("boot", "e300", build)
    assert (real.message, real.hint, real.exit_code) == (dry.message, dry.hint, dry.exit_code)
    assert real.message == REFUSED
    assert real.hint == (
        "build with -DKernelSupportPCID=OFF, or --engine bochs, or boot it on a real board; or boot it all "
        "the same: --ignore-needs"
    )
    assert real.exit_code == 11
    assert not (state_dir() / "runs").exists()


def test_a_check_of_the_build_says_the_same(tmp_path: Path) -> None:
    build = built(tmp_path, PCID, VTX, PRINTS, vms=1, cache="KernelSel4Arch:STRING=x86_64\n")
    (tmp_path / "app.camkes").write_text(APP)
    words = ["camkes", "check", str(tmp_path / "app.camkes"), "--build-dir", str(build), "--json"]
    checked = json.loads(invoke(*words, "--profile", "twin-e300-9d").stdout)
    found = {f["message"]: f["fix"] for f in checked["findings"] if f["rule"] == "F9"}
    refused = refusal("boot", "e300", str(build), "--engine", "qemu")
    assert refused.message == REFUSED
    assert REFUSED in found
    others = [message for message in found if message != REFUSED]
    assert (refused.hint or "").startswith(f"{found[REFUSED]}; also: {others[0]}")
    real = json.loads(invoke(*words, "--profile", "supermicro-e300-9d").stdout)
    assert "F9" not in {f["rule"] for f in real["findings"]}


def test_a_real_board_has_it_all(in_folder: Path, tmp_path: Path) -> None:
    (in_folder / "lab.toml").write_text(LAB)
    assert cautions("e300-1", str(built(tmp_path, PCID, VTX, PRINTS, vms=2))) == ""


def test_who_knows_better_boots_it_all_the_same_and_is_told(tmp_path: Path) -> None:
    build = str(built(tmp_path, PCID, PRINTS))
    assert f"{REFUSED} (--ignore-needs)" in cautions("e300", build, "--ignore-needs")


def test_a_kernel_built_without_boots_on_the_twin(tmp_path: Path) -> None:
    assert cautions("e300", str(built(tmp_path, PRINTS, cache="KernelSupportPCID:BOOL=OFF\n"))) == ""


def test_a_release_kernel_is_judged_by_its_cache(tmp_path: Path) -> None:
    silent = cautions("e300", str(built(tmp_path)))
    assert "not known: whether the kernel demands XSAVEC, XSAVES, IBRS, IBPB, x2APIC, VT-x" in silent
    assert "a RELEASE build: the kernel prints nothing" in silent
    build = built(tmp_path, cache="RELEASE:BOOL=ON\nKernelLAPICMode:STRING=X2APIC\n")
    assert "the twin's QEMU has no x2APIC" in refusal("boot", "e300", str(build), "--engine", "qemu").message


def test_vms_are_refused_on_qemu_whatever_the_kernel_says(tmp_path: Path) -> None:
    error = refusal("boot", "e300", str(built(tmp_path, vms=3)), "--engine", "qemu")
    assert error.message.startswith("the twin's QEMU has no VT-x, and an image with VMs does not run without")


def test_options_of_the_build_that_only_warn(in_folder: Path, tmp_path: Path) -> None:
    (in_folder / "lab.toml").write_text(LAB)
    cache = (
        "SIMULATION:BOOL=ON\nKernelMaxNumNodes:STRING=16\nKernelIOMMU:BOOL=OFF\n"
        "LibPlatSupportX86ConsoleDevice:STRING=com1\n"
    )
    told = cautions("e300-1", str(built(tmp_path, VTX, PRINTS, vms=1, cache=cache)))
    assert "the build is for an emulator (SIMULATION)" in told
    assert "built for 16 processors, and SuperMicro SYS-E300-9D has 8" in told
    assert "keeps the IOMMU off" in told
    assert "the build prints to com1, and Serial-over-LAN reaches com2" in told


def test_a_cache_that_cannot_be_read_is_told_and_stops_nothing(tmp_path: Path) -> None:
    build = built(tmp_path, PRINTS, cache="x" * ((16 << 20) + 1))
    assert "what the image was configured with is not known" in cautions("e300", str(build))


@pytest.mark.parametrize("images_named", [False, True])
def test_what_does_not_fit_into_the_twin_is_refused(tmp_path: Path, images_named: bool) -> None:
    build = built(tmp_path, PRINTS, cache="KernelRootCNodeSizeBits:STRING=24\n")
    named = str(build / "images") if images_named else str(build)
    error = refusal("boot", "e300", named, "--memory", "512")
    assert "takes 513 MiB before anything runs, and the machine has 512 MiB" in error.message
    assert "--memory 513 is the least" in (error.hint or "")
    plan("e300", named, "--memory", "513")


def test_a_module_larger_than_the_twins_memory_is_refused() -> None:
    assert "takes 1025 MiB" in refusal("boot", "e300", "--module-size", "1024", "--memory", "1024").message


# bringup.toml beside the image.


def test_the_images_own_file_says_what_the_person_left_open(tmp_path: Path) -> None:
    build = built(tmp_path, PRINTS)
    (build / "bringup.toml").write_text(
        'until = ["kernel", "42 tests passed"]\nvms = 2\nappend = "disable_iommu"\nengine = "qemu"\n'
    )
    made = plan("e300", str(build))
    assert (made["until"], made["vms"]) == ("kernel", 2)
    image = made["image"]
    assert isinstance(image, dict)
    assert image["kernel_args"].endswith(" disable_iommu")
    assert "as asked" in json.dumps(made["steps"])
    asked = plan("e300", str(build), "--until", "user-space", "--vms", "1", "--append", "x")
    assert (asked["until"], asked["vms"]) == ("user-space", 1)
    assert isinstance(asked["image"], dict)
    assert asked["image"]["kernel_args"].endswith(" x")


def test_a_mistake_in_it_stops_the_boot(tmp_path: Path) -> None:
    build = built(tmp_path, PRINTS)
    (build / "images" / "bringup.toml").write_text("vms = 'three'\n")
    error = refusal("boot", "e300", str(build), "--dry-run")
    assert error.exit_code == 12
    assert "bringup.toml:1: `vms` is" in error.message


def test_its_engine_is_the_twins_alone(in_folder: Path, tmp_path: Path) -> None:
    (in_folder / "lab.toml").write_text(LAB)
    build = built(tmp_path, PRINTS)
    (build / "bringup.toml").write_text('engine = "qemu"\n')
    plan("e300-1", str(build))
