"""Programs, namespaces and files of this host, on made-up hosts."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from bringup.jobs.doctor.bmc import Bmc
from bringup.jobs.doctor.check import Checked, Group, examine
from bringup.jobs.doctor.host import file_checks, namespace_remedy
from bringup.jobs.doctor.job import bmc_of
from bringup.jobs.doctor.root import as_root
from bringup.jobs.doctor.tools import TOOLS, tool_checks, version_of
from bringup.lab.find import load_lab
from bringup.lab.inventory import Lab
from bringup.netboot.prepare import LoaderFolders

pytestmark = pytest.mark.usefixtures("home", "in_folder")

LAB = """\
[boards.e300-1]
profile = "supermicro-e300-9d"
macs = ["ac:1f:6b:0e:30:17"]
bmc = { address = "10.0.0.17", user = "ADMIN", password = { file = "secret" } }
"""


def by_id(found: list[Checked]) -> Mapping[str, Checked]:
    return {each.id: each for each in found}


def test_nothing_installed(tmp_path: Path) -> None:
    found = by_id(examine([tool_checks(lambda _program: None, LoaderFolders(ipxe=tmp_path))]))
    for tool in TOOLS:
        checked = found[f"tools-{tool.program.removesuffix('-system-x86_64')}"].result
        assert checked.status == ("skip" if tool.optional else "fail")
        assert checked.fix == as_root(f"apt install {tool.package}")
    assert found["tools-ipxe"].result.fix == as_root("apt install ipxe")
    assert found["tools-python"].result.status == "pass"


def test_a_version_is_read_and_a_program_that_fails_has_none(tmp_path: Path) -> None:
    script = tmp_path / "program"
    script.write_text("#!/bin/sh\necho 'Program (Debian 1:7.2+dfsg) version 7.2.11, (c)'\n")
    script.chmod(0o700)
    assert version_of([str(script)]) == "7.2+dfsg"
    assert version_of([str(tmp_path / "none")]) is None


@pytest.mark.parametrize(
    ("settings", "remedy"),
    [
        ({"user/max_user_namespaces": "0"}, "sysctl -w user.max_user_namespaces=15000"),
        (
            {"user/max_user_namespaces": "0", "user/max_net_namespaces": "0"},
            "sysctl -w user.max_user_namespaces=15000 user.max_net_namespaces=15000",
        ),
        ({"kernel/unprivileged_userns_clone": "0"}, "sysctl -w kernel.unprivileged_userns_clone=1"),
        (
            {"kernel/apparmor_restrict_unprivileged_userns": "1"},
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
    ],
)
def test_the_setting_that_forbids_is_the_one_to_change(settings: dict[str, str], remedy: str) -> None:
    assert namespace_remedy(settings.get, has_tun=True) == as_root(remedy)


def test_without_tun_the_module_is_loaded_and_without_a_reason_nothing_is_guessed() -> None:
    assert namespace_remedy({}.get, has_tun=False) == as_root("modprobe tun")
    assert namespace_remedy({"user/max_user_namespaces": "15000"}.get, has_tun=True) is None


def lab_in(folder: Path) -> Lab:
    (folder / "lab.toml").write_text(LAB)
    (folder / "lab.toml").chmod(0o600)
    return load_lab(folder)


def test_a_password_file_that_others_may_read_and_the_command_closes_it(in_folder: Path) -> None:
    lab = lab_in(in_folder)
    (in_folder / "secret").write_text("x")
    (in_folder / "secret").chmod(0o644)
    checked = by_id(examine([file_checks(lab)]))["files-password.e300-1"].result
    assert checked.status == "fail" and checked.fix is not None
    assert shlex.split(checked.fix)[:2] == ["chmod", "0600"]
    subprocess.run(["sh", "-ec", checked.fix], check=True, timeout=10)
    assert by_id(examine([file_checks(lab)]))["files-password.e300-1"].result.status == "pass"


def test_a_password_that_cannot_be_had_is_told_once(in_folder: Path) -> None:
    lab = lab_in(in_folder)
    (in_folder / "secret").write_text("x")
    (in_folder / "secret").chmod(0o644)
    bmc = bmc_of(lab.board("e300-1"))
    assert isinstance(bmc, Group)
    found = examine([file_checks(lab), bmc])
    assert [each.id for each in found if each.result.status == "fail"] == ["files-password.e300-1"]
    assert "see files" in by_id(found)["bmc"].result.message
    (in_folder / "secret").chmod(0o600)
    assert isinstance(bmc_of(load_lab(in_folder).board("e300-1")), Bmc)


def test_a_password_that_no_file_holds_is_told_where_the_bmc_is(in_folder: Path) -> None:
    (in_folder / "lab.toml").write_text(LAB.replace('file = "secret"', 'env = "NOT_SET_ANYWHERE"'))
    lab = load_lab(in_folder)
    bmc = bmc_of(lab.board("e300-1"))
    assert isinstance(bmc, Group)
    found = examine([file_checks(lab), bmc])
    assert [each.id for each in found if each.result.status == "fail"] == ["bmc"]


def test_a_password_file_that_is_not_there(in_folder: Path) -> None:
    checked = by_id(examine([file_checks(lab_in(in_folder))]))["files-password.e300-1"].result
    assert checked.status == "fail" and checked.fix is not None
    subprocess.run(["sh", "-ec", f"echo s3cret | {checked.fix}"], check=True, timeout=10)
    assert by_id(examine([file_checks(lab_in(in_folder))]))["files-password.e300-1"].result.status == "pass"
    assert (in_folder / "secret").stat().st_uid == os.geteuid()


def test_one_board_is_counted_as_one(in_folder: Path) -> None:
    told = by_id(examine([file_checks(lab_in(in_folder))]))["files-lab"].result
    assert told.message.startswith("lab.toml: 1 board, ")


def test_without_a_lab_file_there_is_the_twin() -> None:
    found = by_id(examine([file_checks(load_lab())]))
    assert set(found) == {"files-lab", "files-runs"}
    assert {each.result.status for each in found.values()} == {"pass"}
