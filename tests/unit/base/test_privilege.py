"""Rights: what is given up, what is kept asleep, what a process of ours inherits. Asked of real processes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from bringup.base.privilege import clean_environment, serving_rule
from tests.places import CHECKOUT

SYSTEM_PYTHON = Path("/usr/bin/python3")
NOBODY = 65534
NET = 1 << 10 | 1 << 12 | 1 << 13
as_root = pytest.mark.skipif(
    os.geteuid() != 0 or not SYSTEM_PYTHON.exists(), reason="needs root, and a Python that others can run"
)
STATUS = "[line for line in open('/proc/self/status') if line.startswith('CapPrm')][0].split()[1]"


def run(script: str, **environment: str) -> list[str]:
    """Run a script as root on the system's Python, which every user can read."""
    values = {"PATH": os.environ["PATH"], "PYTHONPATH": str(CHECKOUT), **environment}
    command = [str(SYSTEM_PYTHON), "-P", "-c", f"import os, subprocess\n{script}"]
    done = subprocess.run(command, env=values, cwd="/", capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


BECOME = "from bringup.base import privilege\nprint(privilege.become_person())\nprint(os.getresuid())\n"


@as_root
def test_under_sudo_a_command_becomes_the_person() -> None:
    script = f"{BECOME}print({STATUS})\nprint(os.environ['HOME'], os.getgroups())"
    became, users, rights, home = run(script, SUDO_UID=str(NOBODY), HOME="/root")
    assert (became, users) == ("True", str((NOBODY,) * 3))
    assert int(rights, 16) == NET
    assert home == "/nonexistent [65534]"


@as_root
@pytest.mark.parametrize("sudo_uid", [None, "0", "root", "", "4294967294"])
def test_root_itself_stays_root(sudo_uid: str | None) -> None:
    environment = {} if sudo_uid is None else {"SUDO_UID": sudo_uid}
    assert run(BECOME, **environment) == ["False", "(0, 0, 0)"]


@as_root
def test_a_program_that_the_person_cannot_read_stays_root(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "privilege.py").write_bytes((CHECKOUT / "bringup/base/privilege.py").read_bytes())
    script = "import privilege\nprint(privilege.become_person(), os.getresuid())"
    assert run(script, SUDO_UID=str(NOBODY), PYTHONPATH=str(closed)) == ["False (0, 0, 0)"]


@as_root
def test_only_what_serves_is_lent_the_rights() -> None:
    ask = "subprocess.run(['grep', 'CapPrm', '/proc/self/status'])"
    script = f"import sys\n{BECOME}sys.stdout.flush()\n{ask}\nwith privilege.lent(): {ask}\n{ask}"
    rights = run(script, SUDO_UID=str(NOBODY))[2:]
    assert [int(line.split()[1], 16) for line in rights] == [0, NET, 0]


@as_root
def test_the_rights_of_serving_are_all_that_is_kept() -> None:
    script = (
        "from bringup.base import privilege\nprivilege.keep_serving_rights()\n"
        f"print({STATUS})\n"
        "try:\n    os.setuid(1)\nexcept PermissionError:\n    print('stays')\n"
    )
    rights, stays = run(script)
    assert int(rights, 16) & ~NET == 0
    assert stays == "stays"


def test_no_secret_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BMC_PASSWORD", "canary")
    monkeypatch.setenv("BRINGUP_LAB", "canary")
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("PYTHONPATH", "here::/there:.:")
    passed = clean_environment()
    assert "canary" not in "".join(passed.values())
    assert (passed["LC_ALL"], passed["PYTHONPATH"]) == ("C", "/there")
    assert passed["PATH"] == os.environ["PATH"]


@as_root
@pytest.mark.parametrize(("does", "granted"), [("exit 0", True), ("exit 1", False), ("exec sleep 60", False)])
def test_sudo_is_used_where_it_was_set_up_and_answers(tmp_path: Path, does: str, granted: bool) -> None:
    tmp_path.chmod(0o755)
    for folder in tmp_path.parents:
        if folder.is_relative_to(tempfile.gettempdir()) and folder.name.startswith(("pytest-", "popen-")):
            folder.chmod(0o755)
    stub = tmp_path / "sudo"
    stub.write_text(f"#!/bin/sh\n{does}\n")
    stub.chmod(0o755)
    become = "os.setresuid(65534, 65534, 65534)\nfrom bringup.base.privilege import sudo_prefix\n"
    wait = ", timeout_s=0.5" if "sleep" in does else ""
    script = f"{become}print(*sudo_prefix('some.module'{wait}))"
    (prefix,) = run(script, PATH=f"{tmp_path}:/usr/bin:/bin")
    assert prefix.startswith("sudo -n /usr/bin/setpriv --reuid 65534 ") is granted
    assert granted or prefix == ""


def test_the_line_for_sudoers_names_one_command() -> None:
    rule = serving_rule("bringup.netboot.serve")
    assert "NOPASSWD: " in rule and "\n" not in rule
    assert f"--reuid {os.geteuid()} " in rule
    assert rule.endswith(f"{sys.executable} -P -m bringup.netboot.serve")


def test_a_module_in_the_current_folder_is_not_ours(tmp_path: Path) -> None:
    for name in ("click", "tftpy", "json"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('taken from the current folder')\n")
    for command in (["-m", "bringup", "--version"], ["-P", "-m", "bringup.netboot.serve"]):
        done = subprocess.run(
            [sys.executable, *command],
            cwd=tmp_path,
            input="{}\n",
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert "current folder" not in done.stdout + done.stderr
