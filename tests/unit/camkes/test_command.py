"""By what an application is read: the build's own command, else the projects around it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bringup.base.errors import UsageError
from bringup.camkes.app.command import command_for, parse_command
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
    command = command_for(application, build)
    assert command.include == (components, components / "VM")
    assert command.define == ("RAM=256",) and command.root == application
    assert ram(application, CheckRequest(build_dir=build)) == 256
    assert ram(application, CheckRequest(build_dir=build, define=("RAM=64",))) == 64


def test_a_command_of_another_application_is_not_taken_where_there_are_several(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "ast.pickle.cmd").write_text(f"camkes;--file;/{name}.camkes;--import-path;/{name}")
    assert command_for(Path("/b.camkes"), tmp_path).include == (Path("/b"),)
    assert command_for(Path("/c.camkes"), tmp_path).include == ()


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
