"""`bringup camkes check` and `plan-memory`: from files to what a person, or a program, is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import bringup
from bringup.base.errors import ProfileError, UsageError
from bringup.camkes.app.load import load_application
from bringup.camkes.vms.read import read_vms
from bringup.cli import root

CHECKOUT = str(Path(bringup.__file__).parents[1])

HEADER = """\
#define VM_INIT_DEF() control; attribute string kernel_cmdline; attribute string kernel_image; \\
    attribute string kernel_relocs; attribute string initrd_image; attribute int iospace_domain; \\
    attribute int guest_ram_mb; attribute int cnode_size_bits = 21;
#define VM_PER_VM_COMP_DEF(num) component Init##num vm##num;
"""

BASE = """\
#include <vm.h>
component Init0 { VM_INIT_DEF() }
assembly {
    composition { VM_PER_VM_COMP_DEF(0) }
    configuration {
        vm0.simple_untyped26_pool = 20;
        vm0.heap_size = 0x2000000;
        vm0.guest_ram_mb = 1024;
        vm0.kernel_cmdline = "console=ttyS0,115200 root=/dev/mem pci=nomsi";
        vm0.kernel_image = "bzimage";
        vm0.kernel_relocs = "bzimage";
        vm0.initrd_image = "rootfs.cpio";
        vm0.iospace_domain = 0x0f;
        vm0.pci_devices_iospace = 1;
    }
}
"""

PASSTHROUGH = """\
#include "base.camkes"
assembly {
    composition {}
    configuration {
        vm0.vm_ioports = [ {"start":0x7060, "end":0x7060 + 32, "pci_device":0, "name":"eth"}, ];
        vm0.pci_devices = [
            {"name":"eth", "bus":0x17, "dev":0, "fun":0, "irq":"eth_irq", "memory":[
                {"paddr":0xc5b00000, "size":0x100000, "page_bits":12},   // BAR 0
                {"paddr":0xc5e0c000, "size":0x4000, "page_bits":12}]},   // BAR 3
        ];
        vm0.vm_irqs = [
            {"name":"eth_irq", "ioapic":0, "source":16, "level_trig":0, "active_low":1, "dest":11},
        ];
    }
}
"""

# Written for this test in the format of `lspci -nn -vv`.
LSPCI = """\
00:00.0 Host bridge [0600]: Intel Corporation Device [8086:2020] (rev 04)

17:00.0 Ethernet controller [0200]: Intel Corporation I350 Gigabit Network Connection [8086:1521] (rev 01)
\tSubsystem: Device [1734:11d1]
\tInterrupt: pin A routed to IRQ 11
\tRegion 0: Memory at c5b00000 (32-bit, non-prefetchable) [size=1M]
\tRegion 2: I/O ports at 7060 [size=32]
\tRegion 3: Memory at c5e0c000 (32-bit, non-prefetchable) [size=16K]

"""

pytestmark = pytest.mark.usefixtures("home", "in_folder")


@pytest.fixture
def application(tmp_path: Path) -> Path:
    folder = tmp_path / "application"
    folder.mkdir()
    (folder / "vm.h").write_text(HEADER)
    (folder / "base.camkes").write_text(BASE)
    (folder / "passthrough.camkes").write_text(PASSTHROUGH)
    return folder / "passthrough.camkes"


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(root, [str(word) for word in words])


def check(application: Path, *words: str | Path) -> tuple[int, dict[str, Any]]:
    result = CliRunner().invoke(
        root,
        ["camkes", "check", str(application), "-I", str(application.parent), "--json", *map(str, words)],
        standalone_mode=False,
    )
    if result.exception is not None:
        raise result.exception
    return int(result.return_value), json.loads(result.stdout)


def change(application: Path, old: str, new: str) -> None:
    text = application.read_text()
    assert old in text
    application.write_text(text.replace(old, new))


def process(*words: str | Path) -> subprocess.CompletedProcess[str]:
    code = "from bringup.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        env={**os.environ, "PYTHONPATH": CHECKOUT},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_sound_application_is_clean_and_says_what_was_not_checked(application: Path) -> None:
    code, body = check(application)
    assert (code, body["verdict"], body["errors"], body["warnings"]) == (0, "ok", 0, 0)
    assert body["constraints"] == 48
    assert {"rule": "C17", "needs": "--capture"} in [
        {key: gap[key] for key in ("rule", "needs")} for gap in body["not_checked"]
    ]


def test_a_capture_and_a_profile_close_most_gaps(application: Path, tmp_path: Path) -> None:
    capture = tmp_path / "lspci.txt"
    capture.write_text(LSPCI)
    code, body = check(application, "--capture", capture, "--profile", "supermicro-e300-9d")
    assert code == 0, body["findings"]
    unchecked = {gap["rule"] for gap in body["not_checked"]}
    assert not unchecked & {"C10", "C13", "C14", "C17", "C20", "C21", "C22", "C23", "C26", "C28", "F1"}
    assert body["inputs"]["profile"] == "supermicro-e300-9d"


def test_a_device_that_moved_is_refused_with_both_places(application: Path, tmp_path: Path) -> None:
    capture = tmp_path / "lspci.txt"
    capture.write_text(LSPCI.replace("c5b00000", "c5a00000").replace("17:00.0", "18:00.0"))
    code, body = check(application, "--capture", capture)
    assert code == ProfileError.exit_code
    assert [f["code"] for f in body["findings"] if f["severity"] == "error"] == ["function-absent"]
    capture.write_text(LSPCI.replace("c5b00000", "c5a00000"))
    code, body = check(application, "--capture", capture)
    (moved,) = [f for f in body["findings"] if f["code"] == "bar-moved"]
    assert moved["fix"] == 'write {"paddr":0xc5a00000, "size":0x100000, "page_bits":12}'
    assert (Path(moved["file"]).name, moved["line"]) == ("passthrough.camkes", 7)


def test_mistakes_are_told_with_line_and_fix(application: Path) -> None:
    change(application, "0x7060 + 32", "0x707f")
    change(application, '"ioapic":0, ', "")
    result = process("camkes", "check", application, "-I", application.parent)
    assert result.returncode == ProfileError.exit_code
    assert result.stderr == ""
    assert "checks failed: 48 constraints, 2 errors, 0 warnings" in result.stdout
    assert "passthrough.camkes:12" in result.stdout
    assert 'do    add "ioapic":0' in result.stdout
    assert 'do    write "end":0x7080' in result.stdout
    assert "not checked: needs --capture:" in result.stdout
    assert "\n  from  " not in result.stdout


def test_verbose_tells_where_a_rule_is_from_and_every_gap(application: Path) -> None:
    change(application, '"level_trig":0', '"level_trig":1')
    text = run("camkes", "check", application, "-I", application.parent, "-v").output
    assert "from  camkes-vm#116" in text
    assert "C34  whether the kernel keeps the IOMMU on" in text


def test_strict_fails_on_warnings(application: Path) -> None:
    change(application, '"level_trig":0', '"level_trig":1')
    assert check(application)[0] == 0
    code, body = check(application, "--strict")
    assert (code, body["verdict"], body["errors"], body["warnings"]) == (12, "profile", 0, 1)


def test_macros_decide_what_is_checked(application: Path) -> None:
    change(application, '"source":16', '"source":SOURCE')
    change(application, "assembly {", "#ifndef SOURCE\n#define SOURCE 16\n#endif\nassembly {")
    assert check(application)[0] == 0
    code, body = check(application, "-D", "SOURCE=300")
    assert code == 12
    assert [finding["rule"] for finding in body["findings"]] == ["C3"]


def test_a_setting_of_base_and_overlay_names_both_places(application: Path) -> None:
    change(application, "vm0.vm_irqs", "vm0.heap_size = 0x10000;\n        vm0.vm_irqs")
    _, body = check(application)
    (twice,) = [f for f in body["findings"] if f["code"] == "set-twice"]
    assert "base.camkes:7" in twice["message"]
    assert twice["line"] == 11


def test_a_build_is_read(application: Path, tmp_path: Path) -> None:
    build = tmp_path / "build"
    build.mkdir()
    (build / "CMakeCache.txt").write_text("RELEASE:BOOL=ON\nLibPlatSupportX86ConsoleDevice:STRING=com1\n")
    code, body = check(application, "--build-dir", build, "--profile", "supermicro-e300-9d")
    assert code == 12
    slugs = {finding["code"] for finding in body["findings"]}
    assert {"console-silent", "kernel-silent"} <= slugs


@pytest.mark.parametrize(
    ("text", "told"),
    [("assembly { configuration { vm0.x = ; } }", "assembly"), ("assembly {", "assembly"), ("\0\1\2", "")],
)
def test_bad_syntax_is_exit_2_and_one_sentence(application: Path, text: str, told: str) -> None:
    application.write_text(text)
    result = process("camkes", "check", application, "-I", application.parent)
    assert result.returncode == UsageError.exit_code
    assert application.name in result.stderr
    assert told in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["nowhere.camkes"],
        ["{}", "--build-dir", "nowhere"],
        ["{}", "--capture", "nowhere"],
    ],
)
def test_files_that_are_not_there_are_exit_2(application: Path, words: list[str]) -> None:
    named = [word.replace("{}", str(application)) for word in words]
    result = process("camkes", "check", *named, "-I", application.parent)
    assert result.returncode == UsageError.exit_code
    assert "nowhere" in result.stderr


def test_an_unknown_profile_is_exit_12(application: Path) -> None:
    result = process("camkes", "check", application, "-I", application.parent, "--profile", "nowhere")
    assert result.returncode == ProfileError.exit_code
    assert "nowhere" in result.stderr


def test_a_missing_include_can_be_passed_over_and_is_told(application: Path) -> None:
    result = process("camkes", "check", application, "--allow-missing")
    assert result.returncode == 0, result.stderr
    assert "not read: vm.h" in result.stdout


def test_vms_are_read_from_text(application: Path) -> None:
    vms, wrong = read_vms(load_application(application, include=[application.parent]))
    (vm,) = vms
    assert not wrong
    assert (vm.name, vm.numbers["guest_ram_mb"], vm.ports[0].end) == ("vm0", 1024, 0x7080)
    assert [hex(memory.base) for memory in vm.devices[0].memory] == ["0xc5b00000", "0xc5e0c000"]
    assert vm.irqs[0].place.line == 12


def test_neither_rich_nor_pydantic_is_imported_for_a_plain_check(application: Path) -> None:
    code = (
        "import sys\nfrom bringup.cli import root\n"
        f"root.main(['camkes', 'check', {str(application)!r}, '-I', {str(application.parent)!r}], "
        "standalone_mode=False)\n"
        "print(sorted({'rich', 'pydantic', 'aiohttp', 'pyghmi', 'jinja2'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": CHECKOUT},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert result.stdout.splitlines()[-1] == "[]"


# plan-memory


def test_a_plan_shows_its_sums_and_can_be_copied(application: Path) -> None:
    words = ["--guest-ram", "1024", "--vms", "3", "--board-ram", "16384", "--bar", "1M", "--bar", "0x4000"]
    text = run("camkes", "plan-memory", *words).output
    assert "3 VMs of 1024 MiB: fits, 11744 MiB of 16384 MiB left" in text
    assert "vm0.heap_size = 0x2000000;" in text
    assert "1.38 times the guest's RAM" in text
    settings = [line.strip() for line in text.splitlines() if line.strip().startswith("vm0.")]
    base = application.with_name("base.camkes")
    for line in base.read_text().splitlines():
        if (
            any(word in line for word in ("simple_untyped", "heap_size", "guest_ram_mb"))
            and "attribute" not in line
        ):
            change(base, line + "\n", "")
    change(application, "configuration {", "configuration {\n" + "\n".join(settings))
    code, body = check(application)
    assert code == 0, body["findings"]
    assert not body["findings"]


def test_a_plan_as_json_adds_up() -> None:
    body = json.loads(run("camkes", "plan-memory", "--guest-ram", "256", "--vms", "2", "--json").stdout)
    assert sum(line["bytes"] for line in body["sums"]) == body["total_bytes"]
    assert body["board_ram_bytes"] is None
    assert body["settings"]["guest_ram_mb"] == 256


def test_a_plan_that_cannot_fit_is_exit_12_and_says_by_how_much() -> None:
    result = process("camkes", "plan-memory", "--guest-ram", "1024", "--vms", "3", "--board-ram", "4096")
    assert result.returncode == ProfileError.exit_code
    assert "160 MiB more than the board's 4096 MiB (C40)" in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["--guest-ram", "0"],
        ["--guest-ram", "128", "--bar", "ten"],
        ["--guest-ram", "128", "--bar", "24"],
        ["--guest-ram", "128", "--board-ram", "-1"],
        ["--guest-ram", "128", "--reserve", "99999999999"],
        [],
    ],
)
def test_numbers_without_sense_are_exit_2(words: list[str]) -> None:
    result = process("camkes", "plan-memory", *words)
    assert result.returncode == UsageError.exit_code
    assert "Traceback" not in result.stderr
