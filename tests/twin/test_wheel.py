"""A wheel built from the tree works where there is no tree: profiles, templates, stand-in are inside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.twin.helpers import PATIENCE_S, assert_nothing_left, long

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel in it; what it depends on comes from the one the tests run in."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    environment = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    python = environment / "bin" / "python"
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", str(wheel)],
        check=True,
    )
    (site,) = environment.glob("lib/python*/site-packages")
    # A path named in a .pth file is searched, but not for .pth files: no editable install leaks in.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return environment


def clean_environment() -> dict[str, str]:
    """What a user has: nothing that leads Python to the checkout."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("BRINGUP_", "PYTHON"))}


def run(installed: Path, home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    home.mkdir(exist_ok=True)
    return subprocess.run(
        [str(installed / "bin" / "bringup"), *words],
        cwd=home,
        env={**clean_environment(), "BRINGUP_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def test_it_is_the_wheel_that_runs(installed: Path, tmp_path: Path) -> None:
    where = subprocess.run(
        [str(installed / "bin" / "python"), "-c", "import bringup; print(bringup.__file__)"],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert where.stdout.startswith(str(installed))


def test_profiles_are_inside(installed: Path, tmp_path: Path) -> None:
    done = run(installed, tmp_path / "home", "boards", "--json")
    assert done.returncode == 0, done.stderr
    names = json.dumps(json.loads(done.stdout))
    for name in ("supermicro-e300-9d", "supermicro-e300-9d-4cn8tp", "supermicro-e300-9d-8cn8tp"):
        assert name in names


@pytest.mark.parametrize("firmware", ["bios", long("uefi")])
def test_it_boots_the_twin(installed: Path, tmp_path: Path, firmware: str) -> None:
    home = tmp_path / "home"
    done = run(installed, home, "boot", "e300", "--json", "--firmware", firmware)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["verdict"] == "ok"
    assert_nothing_left(home)


def test_the_loop_from_probe_to_configuration_works(installed: Path, tmp_path: Path) -> None:
    """Both probes, the ramdisk's script, the grammar and cpp, where nothing but the wheel is."""
    home = tmp_path / "home"
    probed = run(installed, home, "probe-pci", "e300", "--json")
    assert probed.returncode == 0, probed.stdout + probed.stderr
    body = json.loads(probed.stdout)
    assert {source["kind"] for source in body["sources"]} == {"firmware-probe", "linux"}
    (home / "app.camkes").write_text(
        "component VM { control; }\n"
        "assembly { composition { component VM vm0; } configuration {\n"
        '    vm0.guest_ram_mb = 128; vm0.kernel_cmdline = "console=ttyS0,115200 pci=nomsi";\n'
        "    vm0.simple_untyped23_pool = 21;\n"
        "} }\n"
    )
    words = ("camkes", "overlay", "app.camkes", "--capture", "e300", "--assign", "vm0=b5:00.0", "--json")
    written = run(installed, home, *words, "-o", "twin/passthrough.camkes")
    assert written.returncode == 0, written.stdout + written.stderr
    assert json.loads(written.stdout)["devices"][0]["pin"] == {"ioapic": 0, "pin": 23, "grade": "measured"}
    assert_nothing_left(home)
