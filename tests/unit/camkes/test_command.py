"""By what an application is read: the build's own command, else the projects around it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bringup.base.errors import UsageError
from bringup.camkes.app.command import command_of, parse_command, root_of
from bringup.jobs.configure.check import check_file
from bringup.jobs.configure.migrate import plan_migration
from bringup.jobs.configure.request import CheckRequest

APPLICATION = """
import <VM/vm.camkes>;
#include <configurations/vm.h>
component Init0 { VM_INIT_DEF() }
assembly { composition { component Init0 vm0; } configuration { vm0.guest_ram_mb = RAM; } }
"""


@pytest.fixture
def application(tmp_path: Path) -> Path:
    """Make an application as `repo` lays the projects out, and return its root file."""
    vm = tmp_path / "top" / "projects" / "vm"
    (vm / "components" / "VM" / "configurations").mkdir(parents=True)
    (vm / "components" / "VM" / "vm.camkes").write_text("component Serial { control; }")
    header = "#define VM_INIT_DEF() control;\n#ifndef RAM\n#define RAM 128\n#endif\n"
    (vm / "components" / "VM" / "configurations" / "vm.h").write_text(header)
    folder = tmp_path / "top" / "projects" / "vm-examples" / "apps" / "x86" / "minimal"
    folder.mkdir(parents=True)
    path = folder / "minimal.camkes"
    path.write_text(APPLICATION)
    return path


def ram(path: Path, request: CheckRequest) -> object:
    return request.read(path).value("vm0", "guest_ram_mb")


def test_the_projects_above_an_application_are_searched(application: Path) -> None:
    assert ram(application, CheckRequest()) == 128
    assert ram(application, CheckRequest(define=("RAM=64",))) == 64


def test_a_build_says_how_it_was_read(application: Path, tmp_path: Path) -> None:
    build = tmp_path / "build"
    (build / "apps").mkdir(parents=True)
    components = application.parents[4] / "vm" / "components"
    words = ["python3", "-m", "camkes.parser", f"--import-path={components}", "--cpp"]
    words += [f"--cpp-flag=-I{components / 'VM'}", "--cpp-flag", "-DRAM=256", "--file", str(application)]
    (build / "apps" / "ast.pickle.cmd").write_text(";".join(words))
    command = command_of(application, build)
    assert command.include == (components, components / "VM")
    assert command.define == ("RAM=256",) and command.root == application
    assert ram(application, CheckRequest(build_dir=build)) == 256
    assert ram(application, CheckRequest(build_dir=build, define=("RAM=64",))) == 64


def command_text(*words: str) -> str:
    """Return what CMake writes: the words of its `execute_process` as a list, with what follows them."""
    tool = ["COMMAND", "/usr/bin/cmake", "-E", "env", "PYTHONPATH=/p/camkes-tool:/p/capdl", "python3"]
    rest = ["WORKING_DIRECTORY", "/b", "INPUT_FILE", "/dev/stdin", "RESULT_VARIABLE", "camkes_gen_error"]
    return ";".join([*tool, "-m", "camkes.parser", *words, "--save-ast", "/b/ast.pickle", *rest])


def test_words_of_cmake_keep_their_spaces_quotes_and_semicolons() -> None:
    text = command_text(
        "--import-path=/my projects/vm",
        '--cpp-flag=-DA="b c"', r"--cpp-flag=-DLIST=a\;b", "--cpp-flag=-I/it's",
        "--cpp-flag=-DPLATFORM_QEMU-ARM-VIRT", "--cpp-flag=-UX", "--file", "/my projects/a.camkes",
    )  # fmt: skip
    command = parse_command(text, Path("/b"))
    assert command.include == (Path("/my projects/vm"), Path("/it's"))
    assert command.define == ('A="b c"', "LIST=a;b")  # cpp only warns of a macro with a hyphen
    assert command.root == Path("/my projects/a.camkes")


def test_the_application_is_the_one_that_the_build_was_made_from(application: Path, tmp_path: Path) -> None:
    build = tmp_path / "build"
    build.mkdir()
    for words in ((), ("--file", "/etc/passwd")):
        (build / "ast.pickle.cmd").write_text(command_text(*words))
        with pytest.raises(UsageError, match="does not tell which"):
            root_of(build)
    (build / "ast.pickle.cmd").write_text(command_text("--file", str(application)))
    assert root_of(build) == application
    with pytest.raises(UsageError, match="no application is named"):
        check_file(None, None)
    (build / "CMakeCache.txt").write_text("RELEASE:BOOL=OFF\n")
    checked = check_file(None, None, CheckRequest(build_dir=build, allow_missing=True))
    assert Path(checked.report.root).name == "minimal.camkes"
    (build / "other").mkdir()
    (build / "other" / "ast.pickle.cmd").write_text(command_text("--file", "/gone.camkes"))
    with pytest.raises(UsageError, match="several applications"):
        root_of(build)
    (build / "ast.pickle.cmd").unlink()
    with pytest.raises(UsageError, match="not there any more"):
        root_of(build)


def test_older_builds_leave_the_command_under_another_name(application: Path, tmp_path: Path) -> None:
    (tmp_path / "camkes_gen").mkdir()
    text = command_text("--file", str(application), "--import-path=vm")
    (tmp_path / "camkes_gen" / "last_invocation").write_text(text)
    assert root_of(tmp_path) == application
    assert command_of(application, tmp_path).include == (tmp_path / "vm",)


def test_a_command_without_bounds_is_cut(tmp_path: Path) -> None:
    many = [f"--cpp-flag=-I/d{n}" for n in range(30_000)] + [f"--cpp-flag=-DM{n}=1" for n in range(30_000)]
    (tmp_path / "ast.pickle.cmd").write_text(command_text(*many, "--cpp-flag=-DLONG=" + "x" * 200_000))
    path = tmp_path / "app.camkes"
    path.write_text("#define A 1\nassembly { composition {} configuration { vm0.x = A; } }")
    assert CheckRequest(build_dir=tmp_path).read(path).value("vm0", "x") == 1


def test_a_pipe_in_place_of_a_command_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "ast.pickle.cmd")
    os.mkfifo(tmp_path / "CMakeCache.txt")
    assert command_of(Path("/a.camkes"), tmp_path).include == ()


def test_a_build_without_a_command_tells_where_its_projects_are(application: Path, tmp_path: Path) -> None:
    build, elsewhere = tmp_path / "build", tmp_path / "drafts" / "minimal.camkes"
    build.mkdir()
    elsewhere.parent.mkdir()
    elsewhere.write_text(application.read_text())
    home = application.parents[4]
    assert home.name == "projects"
    cache = f"CMAKE_HOME_DIRECTORY:INTERNAL={home / 'vm-examples'}\n"
    (build / "CMakeCache.txt").write_text(cache)
    assert ram(elsewhere, CheckRequest(build_dir=build)) == 128


# What the repositories' CMake files name for x86, and what each of them holds.
REPOSITORIES = {
    "camkes-tool/include/builtin/std_connector.camkes": "connector seL4RPC { from Procedure; to Procedure; }",
    "camkes-tool/components/arch/x86/arch/timers.camkes": "component ArchTimer { control; }",
    "camkes-tool/components/plat/pc99/plat/serial.camkes": "component Serial { control; }",
    "global-components/interfaces/PutChar.idl4": "procedure PutChar { void put(in int c); };",
    "global-components/components/SerialServer/SerialServer.camkes": (
        "import <plat/serial.camkes>;\n#include <plat/serial.h>\n"
        "component SerialServer { provides PutChar p; dataport Buf(SERIAL_SIZE) d; }"
    ),
    "global-components/components/SerialServer/include/plat/pc99/plat/serial.h": (
        "#define SERIAL_SIZE 4096\n#ifndef CAMKES_TOOL_PROCESSING\nint only_c(void);\n#endif\n"
    ),
    "global-components/components/modules/dma/camkes-include/dma.h": "#define DMA_DEF() attribute int dma;\n",
    "global-components/remote-drivers/pico/camkes-include/pico.h": "#define PICO_DEF() attribute int pico;\n",
    "global-components/plat_interfaces/pc99/Rtc.idl4": "procedure Rtc { void set(in int c); };",
    "vm/components/StringReverse/include/string_reverse.h": "#define BUFFER 512\n",
    "vm/components/Sataserver/include/plat/empty/plat/sata.h": "#define SATA 0\n",
    "vm-examples/apps/x86/big/configurations/big.h": "#define CMDLINE \"pci=nomsi\"\n",
}  # fmt: skip
BIG = """
import <std_connector.camkes>; import <arch/timers.camkes>; import <PutChar.idl4>; import <Rtc.idl4>;
import <SerialServer/SerialServer.camkes>;
#include <dma.h>
#include <pico.h>
#include <string_reverse.h>
#include <plat/sata.h>
#include <big.h>
component Init0 { DMA_DEF() PICO_DEF() attribute string kernel_cmdline; dataport Buf(BUFFER) d; }
assembly {
    composition { component Init0 vm0; component SerialServer serial; component ArchTimer timer; }
    configuration { vm0.kernel_cmdline = CMDLINE; vm0.dma = SATA; }
}
"""


@pytest.mark.parametrize("place", ["big.camkes", "e300-9d/passthrough.camkes"])
def test_every_folder_that_the_repositories_name_is_searched(tmp_path: Path, place: str) -> None:
    for name, text in REPOSITORIES.items():
        path = tmp_path / "projects" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    path = tmp_path / "projects" / "vm-examples" / "apps" / "x86" / "big" / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(BIG)
    read = CheckRequest().read(path)
    assert (read.value("vm0", "kernel_cmdline"), read.value("vm0", "dma")) == ("pci=nomsi", 0)
    assert not read.missing_includes and len(read.files) == len(REPOSITORIES) + 1
    migrated = plan_migration(path)
    assert not migrated.stale


def test_a_command_of_another_application_is_not_taken_where_there_are_several(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "ast.pickle.cmd").write_text(f"camkes;--file;/{name}.camkes;--import-path;/{name}")
    assert command_of(Path("/b.camkes"), tmp_path).include == (Path("/b"),)
    assert command_of(Path("/c.camkes"), tmp_path).include == ()


def test_relative_folders_are_those_of_the_command() -> None:
    assert parse_command("x;--import-path=../y", Path("/build")).include == (Path("/build/../y"),)
    assert parse_command('broken "', Path("/")).include == ()


@pytest.mark.parametrize("text", ["import <Nowhere.camkes>;", "#include <nowhere.h>\n"])
def test_a_missing_file_tells_both_ways_on(tmp_path: Path, text: str) -> None:
    path = tmp_path / "app.camkes"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"(?i)nowhere") as raised:
        CheckRequest().read(path)
    assert "-I" in (raised.value.hint or "") and "--allow-missing" in (raised.value.hint or "")
