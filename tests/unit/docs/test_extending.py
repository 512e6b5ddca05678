"""docs/extending.md, followed literally: each change applied to a copy of the tree, and what it adds used."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from bringup.power.base import PowerState
from bringup.power.drivers.command import Commands, state_in
from tests.places import CHECKOUT
from tests.unit.lab.test_power_table import own_serial

PAGE = (CHECKOUT / "docs" / "extending.md").read_text(encoding="utf-8")
BOARD_CHANGE, DRIVER_CHANGE, FORMAT_CHANGE = re.findall(
    r"^```diff\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE
)
TABLES = [tomllib.loads(text) for text in re.findall(r"^```toml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)]
PLUG = 'power = { driver = "shelly", host = "127.0.0.1:%d" }\n'

pytestmark = pytest.mark.usefixtures("home")


class Tree:
    """A copy of what a stranger clones, to change and to run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("bringup", "boards", "pxe", "probes"):
            shutil.copytree(CHECKOUT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(CHECKOUT / "pyproject.toml", folder)

    def apply(self, change: str) -> set[str]:
        """Apply a change; return the files that it touched."""
        before = self._files()
        words = ["git", "apply", "--whitespace=error", "-"]
        subprocess.run(words, input=change, text=True, cwd=self.folder, check=True, timeout=60)
        after = self._files()
        return {
            str(path.relative_to(self.folder)) for path, data in after.items() if before.get(path) != data
        }

    def run(self, *words: str, also: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run the changed tool; `also` is a folder with packages of others."""
        path = os.pathsep.join(str(folder) for folder in (self.folder, also) if folder)
        return subprocess.run(
            [sys.executable, "-m", "bringup", *words],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def lint(self, *files: str) -> None:
        """Hold the new files to the project's own rules."""
        for words in (["ruff", "check"], ["ruff", "format", "--check"]):
            done = subprocess.run(
                [sys.executable, "-m", *words, *files],
                cwd=self.folder,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert done.returncode == 0, done.stdout

    def _files(self) -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "clone")


class Plug(BaseHTTPRequestHandler):
    """A Shelly's two methods, as its documentation shows them."""

    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, PlugServer)
        url = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(url.query).items()}
        server.asked.append((url.path, asked))
        if url.path == "/rpc/Switch.Set":
            body = {"was_on": server.output}
            server.output = asked["on"] == "true"
        else:
            body = {"id": int(asked["id"]), "source": "HTTP_in", "output": server.output}
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_words: object) -> None:
        return


class PlugServer(HTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Plug)
        self.output = False
        self.asked: list[tuple[str, dict[str, str]]] = []


@contextmanager
def plug() -> Iterator[PlugServer]:
    with PlugServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def lab_file(folder: Path, server: PlugServer) -> Path:
    path = folder / "lab.toml"
    path.write_text(own_serial(folder) + PLUG % server.server_port)
    return path


def switches(tree: Tree, server: PlugServer, also: Path | None = None) -> None:
    """Use the page's driver on its plug."""
    lab = str(lab_file(tree.folder, server))
    done = tree.run("--lab", lab, "power", "e300-1", "on", "--json", also=also)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["state"] == "on"
    assert server.output
    assert ("/rpc/Switch.Set", {"id": "0", "on": "true"}) in server.asked
    where = f"127.0.0.1:{server.server_port}"
    done = tree.run("--lab", lab, "power", "e300-1", also=also)
    assert done.stdout == f"● e300-1 is on  (outlet 0 of the plug {where})\n"


def test_a_board_is_one_file_which_is_listed_and_checked(tree: Tree) -> None:
    assert "supermicro-5019d-fn8tp" not in tree.run("boards").stdout
    (file,) = tree.apply(BOARD_CHANGE)
    assert file == "boards/supermicro-5019d-fn8tp.toml"
    assert "supermicro-5019d-fn8tp" in tree.run("boards").stdout
    shown = tree.run("boards", "show", "supermicro-5019d-fn8tp", "--json")
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)["profile"]["identity"]["system_product"]["value"] == "SYS-5019D-FN8TP"
    profile = tree.folder / file
    profile.write_text(profile.read_text().replace("pr-27: title", "pr-28: title", 1))
    wrong = tree.run("boards", "show", "supermicro-5019d-fn8tp")
    assert wrong.returncode == 12
    assert "boards/supermicro-5019d-fn8tp.toml:9: the source `pr-28` is not in [sources]" in wrong.stderr


def test_the_command_lines_of_the_page_are_understood() -> None:
    power = next(table["boards"]["e300-1"]["power"] for table in TABLES if "status" in str(table))
    commands = Commands.model_validate(power)
    assert commands.on[:3] == ("snmpset", "-v2c", "pdu.lab")
    told = "iso.3.6.1.4.1.318.1.1.4.4.2.1.3.3 = INTEGER: %d\n"
    assert [state_in(told % number, commands) for number in (1, 2, 12)] == [
        PowerState.ON,
        PowerState.OFF,
        PowerState.UNKNOWN,
    ]


def test_a_power_driver_is_one_file_which_switches(tree: Tree) -> None:
    with plug() as server:
        lab = lab_file(tree.folder, server)
        assert 'no power driver "shelly"' in tree.run("--lab", str(lab), "power", "e300-1").stderr
        (file,) = tree.apply(DRIVER_CHANGE)
        assert file == "bringup/power/drivers/shelly.py"
        tree.lint(file)
        switches(tree, server)
    gone = tree.run("--lab", str(lab), "power", "e300-1")
    assert gone.returncode == 10
    assert "gave no answer: " in gone.stderr


def test_the_same_driver_in_a_package_of_its_own(tree: Tree, tmp_path: Path) -> None:
    other = Tree(tmp_path / "other")
    (file,) = other.apply(DRIVER_CHANGE)
    site = tmp_path / "site"
    (site / "my_lab").mkdir(parents=True)
    shutil.copy(other.folder / file, site / "my_lab")
    named = next(table for table in TABLES if "project" in table)["project"]["entry-points"]["bringup.power"]
    info = site / "my_lab-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-lab\nVersion: 1.0\n")
    rows = "".join(f"{name} = {value}\n" for name, value in named.items())
    (info / "entry_points.txt").write_text(f"[bringup.power]\n{rows}")
    with plug() as server:
        switches(tree, server, also=site)


def devices_line(
    devfn: str, ids: str, irq: int, starts: dict[int, int], sizes: dict[int, int], driver: str
) -> str:
    """Write a line as the kernel does: drivers/pci/proc.c, show_device."""
    numbers = [table.get(i, 0) for table in (starts, sizes) for i in range(7)]
    return f"{devfn}\t{ids}\t{irq:x}" + "".join(f"\t{number:16x}" for number in numbers) + f"\t{driver}\n"


def test_a_capture_format_is_two_files_and_is_read(tree: Tree) -> None:
    text = devices_line(
        "1700",
        "80861521",
        11,
        {0: 0xC5E00000, 2: 0x9021, 3: 0xC5E8000C},
        {0: 0x20000, 2: 32, 3: 0x4000},
        "igb",
    ) + devices_line("b501", "808637d2", 0, {}, {}, "")
    capture = tree.folder / "devices"
    capture.write_text(text)
    assert "no view of a machine that is known here" in tree.run("probe-pci", "--from", str(capture)).stderr
    files = tree.apply(FORMAT_CHANGE)
    assert files == {"bringup/pci/sources/proc_devices.py", "bringup/pci/sources/formats.py"}
    tree.lint(*files)
    done = tree.run("probe-pci", "--from", str(capture), "--all", "--json")
    assert done.returncode == 0, done.stderr
    functions = {function["bdf"]: function for function in json.loads(done.stdout)["functions"]}
    assert set(functions) == {"0000:17:00.0", "0000:b5:00.1"}
    card = functions["0000:17:00.0"]
    assert (card["vendor"], card["device"], card["irq"], card["driver"]) == ("8086", "1521", 11, "igb")
    assert [(bar["index"], bar["kind"], bar["base"], bar["size"]) for bar in card["bars"]] == [
        (0, "mem", "0xc5e00000", 0x20000),
        (2, "io", "0x9020", 32),
        (3, "mem", "0xc5e80000", 0x4000),
    ]
    capture.write_text(text + "what is this\n")
    damaged = tree.run("probe-pci", "--from", str(capture))
    assert (damaged.returncode, "line 3" in damaged.stderr) == (2, True)


@pytest.mark.skipif(not Path("/proc/bus/pci/devices").is_file(), reason="this host has no PCI")
def test_this_host_s_own_file_says_what_sysfs_says(tree: Tree) -> None:
    tree.apply(FORMAT_CHANGE)
    told, seen = (
        {
            function["bdf"]: function
            for function in json.loads(tree.run("probe-pci", *source, "--json").stdout)["functions"]
        }
        for source in (["--from", "/proc/bus/pci/devices"], ["--local"])
    )
    assert set(told) == {bdf for bdf in seen if bdf.startswith("0000:")}
    for bdf, function in told.items():
        for key in ("vendor", "device", "driver"):
            assert function[key] == seen[bdf][key]
        places = [
            {(bar["index"], bar["kind"], bar["base"]) for bar in of["bars"]} for of in (function, seen[bdf])
        ]
        assert places[0] == places[1]


def test_every_file_of_the_list_of_changes_is_there_but_for_the_new_ones() -> None:
    files = re.findall(r"`((?:bringup|boards)/[^` ]+)`", PAGE)
    assert len(files) > 6
    for file in files:
        path = CHECKOUT / file
        assert path.exists() or "NAME" in file or file in FORMAT_CHANGE + DRIVER_CHANGE + BOARD_CHANGE, file
        assert path.parent.is_dir(), file
