"""`bringup boards`: the answer on stdout, as text or as one JSON object, and quick enough to ask often."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import bringup
from bringup.base.errors import ProfileError, UsageError
from bringup.cli import root
from bringup.cli.complete import board_and_profile_names

CHECKOUT = str(Path(bringup.__file__).parents[1])
LAB = """\
[boards.e300-1]
profile = "supermicro-e300-9d"
macs = ["ac:1f:6b:0e:30:16", "ac:1f:6b:0e:30:17"]
bmc = { address = "10.0.0.17", user = "ADMIN", password = { env = "E300_PASSWORD" } }
[boards.e300-1.network]
interface = "enp3s0"
mode = "own-segment"
address = "192.168.77.1/24"
board_address = "192.168.77.30"
"""

pytestmark = pytest.mark.usefixtures("home", "in_folder")


def run(*words: str) -> Result:
    return CliRunner().invoke(root, words)


def process(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    code = "from bringup.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        env={**os.environ, "PYTHONPATH": CHECKOUT, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def test_the_list_without_a_lab(in_folder: Path) -> None:
    result = run("boards")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("no lab.toml here: the board e300 is the twin")
    assert re.search(r"^e300 +twin-e300-9d +virtual", result.stdout, re.MULTILINE)
    assert re.search(
        r"^supermicro-e300-9d-8cn8tp +SuperMicro SYS-E300-9D-8CN8TP$", result.stdout, re.MULTILINE
    )


def test_the_list_of_a_lab(in_folder: Path) -> None:
    (in_folder / "lab.toml").write_text(LAB)
    (in_folder / "boards").mkdir()
    (in_folder / "boards" / "ours.toml").write_text(
        'extends = "supermicro-e300-9d"\ntitle = "Ours"\n[serial]\n'
    )
    shown = run("boards").stdout
    assert shown.startswith("lab  lab.toml\n")
    assert "10.0.0.17:623" in shown
    assert "ac:1f:6b:0e:30:16 on enp3s0 (own-segment)" in shown
    assert re.search(r"^ours +Ours$", shown, re.MULTILINE)


def test_the_list_as_json(in_folder: Path) -> None:
    (in_folder / "lab.toml").write_text(LAB)
    result = run("boards", "--json")
    assert result.stderr == ""
    body = json.loads(result.stdout)
    assert body["lab"] == str(in_folder / "lab.toml")
    assert body["boards"][0]["bmc"]["password_from"] == "environment variable E300_PASSWORD"
    assert [entry["name"] for entry in body["profiles"]][-1] == "twin-e300-9d"


def test_a_board_is_explained(in_folder: Path) -> None:
    (in_folder / "lab.toml").write_text(LAB)
    result = run("boards", "show", "e300-1")
    assert (result.exit_code, result.stderr) == (0, "")
    for line in (
        r"BMC +10\.0\.0\.17 port 623, user ADMIN, password from environment variable E300_PASSWORD",
        r"boots +from ac:1f:6b:0e:30:16; also its own: ac:1f:6b:0e:30:17",
        r"network +enp3s0, own-segment, this host 192\.168\.77\.1/24, the board gets 192\.168\.77\.30",
        r"identity +manufacturer Supermicro, system SYS-E300-9D, baseboard X11SDV-4C-TLN2F, .* 15d9:0987",
        r"console +Serial-over-LAN reads I/O port 0x2f8; baud rate 115200",
        r"BMC +cipher suites in order 17, 3 \[INF\]; seconds between commands, at least: 5 \[INF\]",
        r"netboot +which ports can: not observed",
        r"  X722 #1 .* 0: 16 MiB 64-bit, 3: 32 KiB 64-bit +A \[MED\] +0/19 \[MED\] +46",
        r"  SLOT7 I350 function 1 \(optional\) .* B +0/17 +36",
        r"  SLOT7 I350 function 3 \(optional\) .* not observed +38",
        r" +Intel X722 10GBASE-T: X722 #1, X722 #2",
        r"    Redirection COM Port = SOL",
        r"source +pr-90: seL4/camkes-vm-examples#90.*",
    ):
        assert re.search(f"^{line}$", result.stdout, re.MULTILINE), line


@pytest.mark.parametrize(
    "name",
    [
        "e300",
        "generic-ipmi-x86",
        "supermicro-e300-9d",
        "supermicro-e300-9d-4cn8tp",
        "supermicro-e300-9d-8cn8tp",
    ],
)
def test_each_is_shown_as_text_and_json(name: str) -> None:
    shown = run("boards", "show", name)
    assert shown.exit_code == 0
    assert max(len(line) for line in shown.stdout.splitlines()) < 200
    result = run("boards", "show", name, "--json")
    body = json.loads(result.stdout)
    assert result.stderr == ""
    port = body["profile"]["serial"]["sol_port"]
    assert port is None if name == "generic-ipmi-x86" else port["value"] == 0x2F8
    assert body["profile"]["stages"]["kernel-image"]["timeout_s"] > 0
    assert (body["board"] is not None) == (name == "e300")
    assert any(line.startswith("stages.login") for line in body["unconfirmed"])


def test_the_siblings_ports_and_quickassist() -> None:
    shown = run("boards", "show", "supermicro-e300-9d-8cn8tp").stdout
    assert re.search(r"^netboot +LAN1 \(bios, uefi\); LAN2 to LAN8 \(uefi\)$", shown, re.MULTILINE)
    assert "2x 8086:37c8 QuickAssist (QAT)" in shown


def test_an_unknown_name_tells_the_near_one() -> None:
    result = run("boards", "show", "supermicro-e300")
    assert isinstance(result.exception, UsageError)
    assert result.exception.message == "no board or profile supermicro-e300; did you mean supermicro-e300-9d?"


def test_a_broken_lab_file_is_told(in_folder: Path) -> None:
    (in_folder / "lab.toml").write_text(LAB.replace("macs =", "mac ="))
    result = run("boards")
    assert isinstance(result.exception, ProfileError)
    assert result.exception.message == (
        "lab.toml:3: unknown key `mac` in [boards.e300-1]; did you mean `macs`?"
    )


def test_failures_of_the_process(in_folder: Path) -> None:
    (in_folder / "lab.toml").write_text(LAB + "baud = x\n")
    told = process("boards")
    assert (told.returncode, told.stdout) == (12, "")
    assert told.stderr.startswith("✖ profile: lab.toml:10: not valid TOML: invalid value  (exit 12)")
    assert told.stderr.splitlines()[1].endswith("mend line 10: baud = x")
    told = process("boards", PYTHONIOENCODING="ascii")
    assert told.stderr.startswith("x profile: lab.toml:10:")
    told = process("boards", "--json")
    body = json.loads(told.stdout)
    assert (told.returncode, told.stderr, body["verdict"], body["exit_code"]) == (12, "", "profile", 12)
    told = process("--lab", "none.toml", "boards")
    assert told.returncode == 2
    assert told.stderr.startswith("✖ usage: there is no lab file none.toml")


def test_completion_offers_tags_where_several_boards_may_be_named(in_folder: Path) -> None:
    (in_folder / "lab.toml").write_text('[boards.one]\ntwin = true\ntags = ["rack", "row"]\n')
    code = "from bringup.cli import root; root(prog_name='bringup')"
    for words, offered in (("boot r", "plain,rack\nplain,row\n"), ("console r", "\n")):
        complete = {
            "_BRINGUP_COMPLETE": "bash_complete",
            "COMP_WORDS": f"bringup {words}",
            "COMP_CWORD": "2",
        }
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": CHECKOUT, **complete},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert done.stdout == offered


def test_completion_offers_boards_and_profiles(in_folder: Path) -> None:
    (in_folder / "lab.toml").write_text(LAB)
    environment = {
        "_BRINGUP_COMPLETE": "bash_complete",
        "COMP_WORDS": "bringup boards show e3",
        "COMP_CWORD": "3",
    }
    code = "from bringup.cli import root; root(prog_name='bringup')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": CHECKOUT, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.stdout == "plain,e300-1\n"
    (in_folder / "lab.toml").write_text("broken")
    with root.make_context("bringup", ["boards"]) as context:
        assert board_and_profile_names(context, root.params[0], "e") == []


HEAVY = ("aiohttp", "asyncio", "dpkt", "jinja2", "lark", "pydantic", "pyghmi", "rich", "tftpy")


@pytest.mark.parametrize("words", [("--help",), ("boards",)])
def test_the_answer_loads_little(words: tuple[str, ...], home: Path) -> None:
    """What makes an answer late is what it imports; seconds are told by the bench."""
    code = (
        "import atexit, sys\n"
        f"heavy = {HEAVY}\n"
        "atexit.register(lambda: print(*(each for each in heavy if each in sys.modules), file=sys.stderr))\n"
        "atexit.register(lambda: print(len(sys.modules), file=sys.stderr))\n"
        f"sys.argv = ['bringup', *{words}]\n"
        "from bringup.cli import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": CHECKOUT},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    count, heavy = done.stderr.splitlines()[-2:]
    assert (done.returncode, heavy) == (0, "")
    assert int(count) < 220
