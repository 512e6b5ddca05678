"""`bringup probe-pci` and `bringup pci diff` as a process: one answer, one sentence for what is wrong."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import bringup
from bringup.lab import captures
from tests.unit.cli.test_boards import process

pytestmark = pytest.mark.usefixtures("home", "in_folder")

LISTING = """\
00:00.0 Host bridge [0600]: Intel Corporation Sky Lake-E DMI3 Registers [8086:2020] (rev 04)
00:1c.0 PCI bridge [0604]: Intel Corporation Root Port [8086:2030] (prog-if 00 [Normal decode])
\tBus: primary=00, secondary=17, subordinate=17, sec-latency=0
\tInterrupt: pin A routed to IRQ 24
17:00.0 Ethernet controller [0200]: Intel Corporation I350 Gigabit Network Connection [8086:1521] (rev 01)
\tSubsystem: Fujitsu Limited D3045 [1734:11d1]
\tInterrupt: pin A routed to IRQ 11
\tRegion 0: Memory at c5b00000 (32-bit, non-prefetchable) [size=1M]
\tRegion 2: I/O ports at 7060 [size=32]
\tRegion 3: Memory at c5e0c000 (32-bit, non-prefetchable) [size=16K]
\tKernel driver in use: igb
"""


@pytest.fixture
def listing(in_folder: Path) -> str:
    (in_folder / "lspci.txt").write_text(LISTING)
    return "lspci.txt"


def test_the_report_is_the_answer(listing: str) -> None:
    done = process("probe-pci", "--from", listing, COLUMNS="120")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    row = next(line for line in done.stdout.splitlines() if line.startswith("17:00.0"))
    assert "I350" in row and "8086:1521" in row and "INTA" in row
    assert "0 c5b00000 1M" in done.stdout and "2 io 7060 32" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 120


@pytest.mark.parametrize("width", ["80", "1", "x", "99999"])
def test_any_width(listing: str, width: str) -> None:
    done = process("probe-pci", "--from", listing, "--all", "-v", COLUMNS=width)
    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= (80 if width == "80" else 200)


def test_the_object_goes_to_programs(listing: str) -> None:
    done = process("probe-pci", "--from", listing, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    body = json.loads(done.stdout)
    assert body["schema"] == 1
    functions = {function["bdf"]: function for function in body["functions"]}
    assert functions["0000:17:00.0"]["path"] == ["0000:00:1c.0"]
    assert functions["0000:17:00.0"]["bars"][1] == {
        "index": 2,
        "kind": "io",
        "base": "0x7060",
        "size": 32,
        "width": 32,
        "prefetchable": False,
    }
    assert "firmware_bars" not in functions["0000:17:00.0"]
    assert functions["0000:17:00.0"]["passable"] in (True, False, None)


def test_a_named_profile_brings_its_pins(listing: str) -> None:
    done = process("probe-pci", "--from", listing, "--profile", "supermicro-e300-9d", "--json")
    function = next(f for f in json.loads(done.stdout)["functions"] if f["bdf"] == "0000:17:00.0")
    best = function["pins"][0]
    assert (best["ioapic"], best["pin"], best["this_unit"]) == (0, 16, False)


def test_the_tree_in_two_encodings(listing: str) -> None:
    done = process("probe-pci", "--from", listing, "--tree")
    assert "└─ 17:00.0  I350" in done.stdout
    done = process("probe-pci", "--from", listing, "--tree", PYTHONIOENCODING="ascii")
    assert done.stdout.isascii()
    assert "`- 17:00.0  I350" in done.stdout


def test_a_picture_is_written_whole(listing: str, in_folder: Path) -> None:
    (in_folder / "a.svg").write_text("older")
    done = process("probe-pci", "--from", listing, "--svg", "a.svg")
    assert (done.returncode, done.stderr) == (0, "wrote a.svg\n")
    assert (in_folder / "a.svg").read_text().startswith("<svg ")
    assert sorted(path.name for path in in_folder.iterdir()) == ["a.svg", "lspci.txt"]


def test_a_picture_and_the_object(listing: str, in_folder: Path) -> None:
    done = process("probe-pci", "--from", listing, "--svg", "a.svg", "--json")
    assert done.stderr == ""
    assert json.loads(done.stdout)["schema"] == 1
    assert (in_folder / "a.svg").is_file()


def test_a_picture_goes_through_a_link_and_into_a_pipe(listing: str, in_folder: Path) -> None:
    (in_folder / "link.svg").symlink_to("real.svg")
    assert process("probe-pci", "--from", listing, "--svg", "link.svg").returncode == 0
    assert (in_folder / "link.svg").is_symlink()
    drawn = (in_folder / "real.svg").read_text()
    assert process("probe-pci", "--from", listing, "--svg", "-").stdout == drawn
    os.mkfifo(in_folder / "pipe")
    # Open at both ends, so that nobody waits; a picture of three functions fits into a pipe.
    pipe = os.open(in_folder / "pipe", os.O_RDWR)
    assert process("probe-pci", "--from", listing, "--svg", "pipe").returncode == 0
    assert os.read(pipe, 1 << 16).decode() == drawn
    os.close(pipe)
    assert (in_folder / "pipe").is_fifo()


def test_a_device_stays_a_device(listing: str) -> None:
    told = sentence(process("probe-pci", "--from", listing, "--svg", "/dev/full"), 2)
    assert "no space left on device" in told
    assert Path("/dev/full").is_char_device()


def test_the_collector_is_a_script() -> None:
    done = process("probe-pci", "--collector")
    assert (done.returncode, done.stderr) == (0, "")
    checked = subprocess.run(
        ["sh", "-n"], input=done.stdout, capture_output=True, text=True, timeout=120, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")


def test_this_machine() -> None:
    done = process("probe-pci", "--local", "--json")
    if done.returncode == 10:
        pytest.skip("no PCI on this machine")
    assert done.returncode == 0, done.stderr
    here = {path.name for path in Path("/sys/bus/pci/devices").iterdir()}
    assert {function["bdf"] for function in json.loads(done.stdout)["functions"]} == here


def sentence(done: subprocess.CompletedProcess[str], code: int) -> str:
    """One cause and one way on, whose fault, no traceback, nothing on stdout."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) <= 2, done.stderr
    assert lines[0].endswith(f"(exit {code})")
    return lines[0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "no machine named"),
        (("e300", "--local"), "BOARD and --local exclude each other"),
        (("--local", "--from", "lspci.txt"), "--from and --local exclude each other"),
        (("--collector", "--local"), "--local and --collector exclude each other"),
        (("--collector", "--tree"), "prints a script and nothing else"),
        (("--from", ""), "--from has an empty name"),
        (("--from", "lspci.txt", "--keep"), "--keep is about probing a board"),
        (("--local", "--firmware", "uefi"), "--firmware is about probing a board"),
        (("--local", "--firmware-probe"), "--firmware-probe is about probing a board"),
        (("--from", "lspci.txt", "--linux-probe"), "--linux-probe is about probing a board"),
        (("--from", "lspci.txt", "--json", "--tree"), "exclude each other"),
        (("nobody",), "no board nobody in this lab"),
        (("--from", "absent"), "absent"),
        (("--from", "lspci.txt", "--svg", "."), ". is a folder"),
        (("--from", "lspci.txt", "--svg", "no/such/a.svg"), "cannot write no/such/a.svg"),
        (("--from", "lspci.txt", "--json", "--svg", "-"), "both go to standard output"),
    ],
)
def test_wrong_command_lines(listing: str, words: tuple[str, ...], said: str) -> None:
    if "--json" in words:
        done = process("probe-pci", *words)
        assert (done.returncode, json.loads(done.stdout)["exit_code"]) == (2, 2)
        assert said in json.loads(done.stdout)["cause"]
        return
    assert said in sentence(process("probe-pci", *words), 2)


def test_an_unknown_profile(listing: str) -> None:
    told = sentence(process("probe-pci", "--from", listing, "--profile", "supermicro-e300"), 12)
    assert "did you mean supermicro-e300-9d" in told


def test_an_empty_profile_name_is_no_profile(listing: str) -> None:
    sentence(process("probe-pci", "--from", listing, "--profile", ""), 12)


def test_a_wrong_profile_is_a_finding_and_no_failure(listing: str) -> None:
    # lspci writes an empty line behind the last function.
    for end, expected in (("\n", "functions-missing"), ("", "part")):
        Path(listing).write_text(LISTING.rstrip("\n") + "\n" + end)
        done = process("probe-pci", "--from", listing, "--profile", "supermicro-e300-9d-8cn8tp", "--json")
        assert done.returncode == 0
        codes = {finding["code"] for finding in json.loads(done.stdout)["findings"]}
        assert codes & {"profile-functions-missing", "profile-part"} == {f"profile-{expected}"}


def bad_inputs(folder: Path) -> dict[str, int]:
    """Files that are no capture, and whose fault each is."""
    (folder / "empty").write_bytes(b"")
    (folder / "photo").write_bytes(b"\xff\xd8\xff\xe0" + bytes(200))
    (folder / "noise").write_bytes(bytes(range(256)) * 40)
    (folder / "bare").mkdir()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        info = tarfile.TarInfo("../../etc/passwd")
        info.size = 5
        archive.addfile(info, io.BytesIO(b"evil\n"))
    (folder / "outside").write_bytes(buffer.getvalue())
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as archive:
        info = tarfile.TarInfo("sys/bus/pci/devices/0000:00:00.0/config")
        info.size = 4096
        archive.addfile(info, io.BytesIO(os.urandom(4096)))
    (folder / "cut").write_bytes(whole.getvalue()[:2000])
    return dict.fromkeys(("empty", "photo", "noise", "bare", "outside", "cut"), 2)


def test_bad_captures(in_folder: Path) -> None:
    for name, code in bad_inputs(in_folder).items():
        assert name in sentence(process("probe-pci", "--from", name), code)


def test_two_machines_in_one(listing: str, in_folder: Path) -> None:
    (in_folder / "other.txt").write_text(LISTING.replace("8086:1521", "8086:10d3"))
    told = sentence(process("probe-pci", "--from", listing, "--from", "other.txt"), 12)
    assert "two machines: 17:00.0 is 8086:1521" in told


def test_standard_input_is_compared_and_read_once(listing: str) -> None:
    shell = f'"$0" -m bringup pci diff - {listing} <{listing}'
    done = subprocess.run(["sh", "-c", shell, sys.executable], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, "no difference\n", "")
    assert "named twice" in sentence(process("pci", "diff", "-", "-"), 2)


def test_two_captures_compared(listing: str, in_folder: Path) -> None:
    (in_folder / "moved.txt").write_text(LISTING.replace("17:00.0", "18:00.0").replace("=17", "=18"))
    done = process("pci", "diff", listing, "moved.txt")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("moved\n  17:00.0 → 18:00.0  8086:1521")
    assert process("pci", "diff", listing, "moved.txt", "--check").returncode == 12
    assert process("pci", "diff", listing, listing, "--check").returncode == 0
    body = json.loads(process("pci", "diff", listing, "moved.txt", "--json").stdout)
    assert (body["same"], body["matters"]) == (False, True)
    assert body["items"][0]["before"] == "0000:17:00.0"
    assert body["items"][0]["after"] == "0000:18:00.0"
    done = process("pci", "diff", listing, "moved.txt", PYTHONIOENCODING="ascii")
    assert "17:00.0 -> 18:00.0" in done.stdout


def test_a_board_stands_for_its_latest_capture(listing: str, in_folder: Path) -> None:
    told = sentence(process("pci", "diff", "e300", listing), 2)
    assert "there is no capture of e300 yet" in told
    captures.add("e300", in_folder / listing)
    done = process("pci", "diff", "e300", listing)
    assert (done.returncode, done.stdout, done.stderr) == (0, "no difference\n", "")
    (in_folder / "e300").mkdir()  # a folder of the board's name does not hide the board
    assert process("pci", "diff", "e300", listing).returncode == 0
    assert "e300" in sentence(process("pci", "diff", "./e300", listing), 2)
    assert "nobody is neither a file nor a board" in sentence(process("pci", "diff", "nobody", listing), 2)


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("bringup probe-pci e", ["plain,e300"]),
        ("bringup probe-pci --profile supermicro-e300-9d-", ["-4cn8tp", "-8cn8tp"]),
        ("bringup pci diff e", ["plain,e300", "file,e"]),
    ],
)
def test_completion(line: str, offered: list[str]) -> None:
    code = "from bringup.cli import root; root(prog_name='bringup')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={
            **os.environ,
            "PYTHONPATH": str(Path(bringup.__file__).parents[1]),
            "_BRINGUP_COMPLETE": "bash_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split()) - 1),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    for each, got in zip(offered, done.stdout.splitlines(), strict=True):
        assert got.endswith(each)


@pytest.mark.parametrize("words", [("probe-pci",), ("pci",), ("pci", "diff")])
def test_help_has_an_example(words: tuple[str, ...]) -> None:
    done = process(*words, "--help")
    assert done.returncode == 0
    assert f"Example:\n    bringup {words[0]}" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_help_and_listings_need_no_heavy_library(listing: str) -> None:
    for words in (["probe-pci", "--help"], ["pci", "diff", "./lspci.txt", "./lspci.txt"]):
        code = (
            "import sys; from bringup.cli import main\n"
            "try: main()\nexcept SystemExit: pass\n"
            "print(sorted({'rich', 'pydantic', 'lark', 'pyudev', 'aiohttp'} & set(sys.modules)))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            env={**os.environ, "PYTHONPATH": str(Path(bringup.__file__).parents[1])},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert done.stdout.splitlines()[-1] == "[]", done.stdout


def test_a_split_is_told_and_is_in_the_object(listing: str) -> None:
    done = process("probe-pci", "--from", listing, "--split")
    assert done.returncode == 0 and "17:00.0" in done.stdout and "network port" in done.stdout
    body = json.loads(process("probe-pci", "--from", listing, "--split", "--json").stdout)
    assert [group["ports"] for group in body["split"]["groups"]] == [["0000:17:00.0"]]
    refused = process("probe-pci", "--from", listing, "--split", "--tree")
    assert refused.returncode == 2 and "--split shows network ports only" in refused.stderr
