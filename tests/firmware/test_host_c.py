"""The firmware probe's C code on this host: against a simulated machine, under sanitizers and a fuzzer."""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bringup.pci.model import Bdf, Machine
from bringup.pci.sources.firmware import report as firmware
from bringup.pci.sources.firmware.frames import FrameReader
from bringup.pci.sources.firmware.records import FUNCTION, decode_function
from tests.firmware.acpi_tables import mcfg, memory_with

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
PROBE = HERE.parents[1] / "probes" / "firmware"
COMMON = HERE.parents[1] / "probes" / "common"
# What touches the machine itself is left out: sim.c stands in for it.
PARTS = (
    *(PROBE / f"{name}.c" for name in (
        "acpi", "cpu", "frame", "functions", "inputs", "ioapic", "lapic", "nic", "options", "pack", "pci",
        "pins", "probe", "report", "serve", "size", "tables",
    )),
    *(COMMON / f"{name}.c" for name in ("crc32", "print", "words")),
    HERE / "sim.c",
)  # fmt: skip
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
BYTES_PER_S = 11520  # 115200 baud, 8N1
ECAM = 0x80000000


def build(compiler: str, main: str, out: Path, options: Sequence[str] = SANITIZERS) -> Path:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    command = [compiler, "-std=c11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", *options]
    command += ["-I", str(PROBE), "-I", str(COMMON), "-I", str(HERE), *map(str, PARTS), str(HERE / main)]
    made = subprocess.run(
        [*command, "-o", str(out)], capture_output=True, text=True, timeout=120, check=False
    )
    assert made.returncode == 0, made.stderr
    return out


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("gcc", "sim_board.c", tmp_path_factory.mktemp("host") / "sim_board")


def test_units_under_address_and_undefined_behaviour_sanitizers(tmp_path: Path) -> None:
    program = build("gcc", "test_units.c", tmp_path / "units")
    run = subprocess.run([program], capture_output=True, text=True, timeout=60, check=False)
    assert (run.returncode, run.stdout) == (0, "all passed\n"), run.stderr


def test_fuzzing_the_parsers(tmp_path: Path) -> None:
    program = build("clang", "fuzz_parsers.c", tmp_path / "fuzz", ["-fsanitize=fuzzer,address,undefined"])
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "mcfg").write_bytes(b"\0" + mcfg(ECAM))
    (corpus / "config").write_bytes(b"\1" + nic_space(random.Random(1))[0])
    (corpus / "options").write_bytes(b"\2port=0x2f8 fire=17:00.0,b5:00.0 after=off wait=3")
    (corpus / "request").write_bytes(b"\2resend 12,15-18 *a1b2")
    run = subprocess.run(
        [program, "-max_total_time=15", "-timeout=60", "-rss_limit_mb=1024", "-max_len=5000", corpus],
        capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-4000:]
    assert "Done" in run.stderr


@dataclass
class Board:
    """A machine for sim_board: functions with the bits their BARs take, and blocks of memory."""

    functions: dict[Bdf, tuple[bytes, tuple[int, ...]]] = field(default_factory=dict)
    blocks: dict[int, bytes] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        with path.open("wb") as file:
            for address, data in self.blocks.items():
                file.write(b"M" + struct.pack("<II", address, len(data)) + data)
            for bdf, (space, masks) in self.functions.items():
                file.write(b"F" + struct.pack("<H", bdf.bus << 8 | bdf.device << 3 | bdf.function))
                file.write(space.ljust(4096, b"\0") + struct.pack("<7I", *masks))


def nic_space(random_: random.Random) -> tuple[bytes, tuple[int, ...]]:
    """Shape of an X722 function: about 150 bytes of 4096 are not zero, as in recorded lspci dumps."""
    space = bytearray(4096)
    struct.pack_into("<HHHHB3BBBBB", space, 0, 0x8086, 0x37D2, 0x0006, 0x0010, 4, 0, 0, 2, 16, 0, 0x80, 0)
    struct.pack_into("<6I", space, 0x10, 0xFA00000C, 0, 0, 0xFB00800C, 0, 0)
    struct.pack_into("<HH", space, 0x2C, 0x15D9, 0x37D2)
    space[0x34], space[0x3C], space[0x3D] = 0x40, 11, 1
    for at, ident, following in ((0x40, 1, 0x50), (0x50, 5, 0x70), (0x70, 0x11, 0xA0), (0xA0, 0x10, 0)):
        space[at], space[at + 1] = ident, following
        space[at + 2 : at + 16] = random_.randbytes(14)
    struct.pack_into("<H", space, 0x44, 0)  # D0
    for at, ident, following in ((0x100, 1, 0x140), (0x140, 3, 0x160), (0x160, 0x10, 0x1B0), (0x1B0, 0xD, 0)):
        struct.pack_into("<I", space, at, ident | 1 << 16 | following << 20)
        space[at + 4 : at + 36] = random_.randbytes(32)
    return bytes(space), (0xFF000000, 0xFFFFFFFF, 0, 0xFFFF8000, 0xFFFFFFFF, 0, 0xFFF80000)


def uncore_space(random_: random.Random, dense: int) -> tuple[bytes, tuple[int, ...]]:
    """A processor's own function: no BAR, a PCI Express capability, `dense` bytes set, in whole registers."""
    space = bytearray(4096)
    struct.pack_into("<HHHHB3BBBBB", space, 0, 0x8086, 0x2054, 0, 0x0010, 4, 0, 0x80, 8, 0, 0, 0x80, 0)
    space[0x34], space[0x40], space[0x42] = 0x40, 0x10, 0x92
    struct.pack_into("<I", space, 0x100, 0x0001000B)
    for at in random_.sample(range(0x104, 4096, 4), dense // 4):
        space[at : at + 4] = random_.randbytes(4)
    return bytes(space), (0, 0, 0, 0, 0, 0, 0)


def run_board(program: Path, board: Board, folder: Path, command_line: str = "wait=0") -> bytes:
    path = folder / "machine"
    board.write(path)
    run = subprocess.run(
        [program, path, command_line, hex(ECAM)], capture_output=True, timeout=120, check=False
    )
    assert run.returncode == 0, run.stderr.decode()
    return run.stdout


def xeon(dense: int) -> Board:
    """132 functions of 4 KiB, as many as an E300-9D shows."""
    random_ = random.Random(9)
    made = Board(blocks=memory_with(mcfg(ECAM)))
    for number in range(128):
        made.functions[Bdf(0, 0x16 + number // 64, number // 8 % 8, number % 8)] = uncore_space(
            random_, dense
        )
    for number in range(4):
        made.functions[Bdf(0, 0xB5, 0, number)] = nic_space(random_)
    return made


def parsed(console: bytes) -> Machine:
    reader = FrameReader()
    reader.feed(console)
    assert reader.complete
    return firmware.parse(console)


def test_every_byte_of_132_config_spaces_arrives(board: Path, tmp_path: Path) -> None:
    made = xeon(dense=300)
    console = run_board(board, made, tmp_path)
    machine = parsed(console)
    assert [function.bdf for function in machine.functions] == sorted(made.functions)
    reader = FrameReader()
    reader.feed(console)
    probed = [decode_function(r.body) for r in reader.records() if r.type == FUNCTION]
    assert {p.bdf: p.config for p in probed} == {
        bdf.bus << 8 | bdf.device << 3 | bdf.function: space for bdf, (space, _) in made.functions.items()
    }
    assert not any(function.problems for function in machine.functions)
    nic = machine.find(Bdf(0, 0xB5, 0, 3))
    assert nic is not None
    assert [(bar.index, bar.base, bar.size) for bar in nic.firmware_bars or ()] == [
        (0, 0xFA000000, 16 << 20),
        (3, 0xFB008000, 32 << 10),
    ]
    assert nic.rom is not None
    assert nic.rom.size == 512 << 10
    assert machine.acpi.mcfg is not None
    assert machine.acpi.mcfg[0].base == ECAM


@pytest.mark.parametrize(("dense", "limit_s"), [(120, 7.0), (300, 12.0), (420, 15.0)])
def test_132_functions_of_4_kib_cross_115200_baud_in_time(
    board: Path, tmp_path: Path, dense: int, limit_s: float
) -> None:
    """The 19 recorded functions of 4 KiB (pciutils) have 66 to 613 bytes set, half of them under 120."""
    console = run_board(board, xeon(dense), tmp_path)
    assert len(console) / BYTES_PER_S < limit_s


def test_300_functions(board: Path, tmp_path: Path) -> None:
    random_ = random.Random(3)
    made = Board()
    for number in range(300):
        made.functions[Bdf(0, number // 256, number // 8 % 32, number % 8)] = uncore_space(random_, 80)
    machine = parsed(run_board(board, made, tmp_path))
    assert len(machine.functions) == 300
    assert any("no MADT" in missing.why for missing in machine.missing)
    assert any("no MCFG" in missing.why for missing in machine.missing)


def test_a_machine_without_anything(board: Path, tmp_path: Path) -> None:
    machine = parsed(run_board(board, Board(), tmp_path, "wait=0 after=maybe"))
    assert machine.functions == ()
    assert machine.acpi.madt is None
    assert any("does not understand" in missing.why for missing in machine.missing)


def test_spaces_too_dense_for_the_report_are_cut_and_told(board: Path, tmp_path: Path) -> None:
    random_ = random.Random(4)
    made = Board(blocks=memory_with(mcfg(ECAM)))
    for number in range(400):
        made.functions[Bdf(0, number // 256, number // 8 % 32, number % 8)] = uncore_space(random_, 3800)
    machine = parsed(run_board(board, made, tmp_path))
    sizes = [function.config_bytes for function in machine.functions]
    assert sizes[0] == 4096
    assert 256 in sizes
    assert any("had no room" in missing.why for missing in machine.missing)
