"""Figures of `bringup camkes`: `python bench/camkes.py`.

    check    whole process, on an application of 300 lines that includes three headers (hyperfine); the same
             with 12 imported files in 18 folders of -I, four of which cpp has to read; and with nothing to
             do, `python3 -c pass` and `bringup --help`
    read     lines a second of the lossless reader alone
    parse    lines a second from cpp's output to settings, against plyplus with the tests' own grammar on
             the same text in the same run

Prints a table, and one JSON object with --json FILE. Times are of one machine; the ratios are the point.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from bringup.camkes.app.adl.parse import parse
from bringup.camkes.app.load import load_application
from bringup.camkes.text.syntax import read_text
from bringup.camkes.text.tokens import tokenize
from tests import camkes_oracle

LINES = 300
READ_LINES = 20_000
VMS = 3
IMPORTS, FOLDERS = 12, 18
RUNS = 20

VM_H = r"""#define VM_INIT_DEF() \
    control; \
    attribute string kernel_cmdline; \
    attribute string kernel_image; \
    attribute string kernel_relocs; \
    attribute string initrd_image; \
    attribute int iospace_domain; \
    attribute int guest_ram_mb; \
    attribute int cnode_size_bits = 21;
#define VM_PER_VM_COMP_DEF(num) component Init##num vm##num;
#define VM_PER_VM_CONFIG_DEF(num) \
    vm##num.fs_shmem_size = 0x1000; \
    vm##num.asid_pool = true; \
    vm##num.simple = true;
"""
CONNECTIONS_H = r"""#define VM_CONNECTION_INIT_HANDLER(num) {"init":"make_virtio_net_vswitch"}
"""
MACS_H = "".join(f'#define VM{n}_MACADDRESS "02:00:00:00:AA:0{n + 1}"\n' for n in range(VMS))


def application() -> str:
    """Return an application of `LINES` lines: three VMs, two with an Ethernet port each."""
    lines = [
        "#include <configurations/vm.h>",
        "#include <configurations/connections.h>",
        '#include "macs.h"',
        "",
    ]
    lines += ["#define CMDLINE \\", '    "console=ttyS0,115200 root=/dev/mem " \\', '    "pci=nomsi"', ""]
    for n in range(VMS):
        lines += [f"component Init{n} {{", "    VM_INIT_DEF()", "}"]
    lines += ["component FileServer {", "    control;", "}", "", "assembly {", "    composition {"]
    lines += [f"        VM_PER_VM_COMP_DEF({n})" for n in range(VMS)]
    lines += ["        component FileServer fserv;", "    }", "    configuration {"]
    for n in range(VMS):
        lines += [f"        VM_PER_VM_CONFIG_DEF({n})", *(f"        {line}" for line in _vm(n))]
    number = 0
    while len(lines) < LINES - 2:
        lines.append(f"        fserv.value_{number} = {number} + (1 << 4);  // one more")
        number += 1
    return "\n".join([*lines, "    }", "}", ""])


def _vm(n: int) -> list[str]:
    lines = [
        f"vm{n}.kernel_cmdline = CMDLINE;",
        f'vm{n}.kernel_image = "bzimage";',
        f'vm{n}.kernel_relocs = "bzimage";',
        f'vm{n}.initrd_image = "vm{n}_rootfs.cpio";',
        f"vm{n}.guest_ram_mb = 1024;",
        f"vm{n}.simple_untyped26_pool = 20;",
        f"vm{n}.simple_untyped24_pool = 16;",
        f"vm{n}.heap_size = 0x2000000;",
        f"vm{n}.iospace_domain = 0x0f + {n};",
        f"vm{n}.vswitch_mac_address = VM{n}_MACADDRESS;",
        f"vm{n}.init_cons = [ VM_CONNECTION_INIT_HANDLER({n}), ];",
    ]
    if n == 1:
        return lines
    base, port, bar3 = 0xC5B00000 - n * 0x80000, 0x7060 - n * 16, 0xC5E0C000 - n * 0x2000
    return [
        *lines,
        "#ifdef QEMU",
        f'vm{n}.vm_ioports = [ {{"start":0xc040, "end":0xc060, "pci_device":0, "name":"eth"}} ];',
        "#else",
        f"vm{n}.vm_ioports = [",
        f'    {{"start":{port:#x}, "end":{port:#x} + 32, "pci_device":0, "name":"eth"}},  // I/O BAR',
        "];",
        "#endif",
        f"vm{n}.pci_devices = [",
        f'    {{"name":"eth", "bus":0x17, "dev":0, "fun":{n // 2}, "irq":"eth_irq",',
        '     "memory":[',
        f'         {{"paddr":{base:#x}, "size":0x100000, "page_bits":12}},',
        f'         {{"paddr":{bar3:#x}, "size":0x4000, "page_bits":12}},',
        "     ]},",
        "];",
        f'vm{n}.vm_irqs = [ {{"name":"eth_irq", "ioapic":0, "source":{16 + n // 2}, "level_trig":0, '
        f'"active_low":1, "dest":{10 + n // 2}}} ];',
        f"vm{n}.pci_devices_iospace = 1;",
    ]


def write(folder: Path) -> Path:
    """Write the application with its headers; return its path."""
    (folder / "vm" / "configurations").mkdir(parents=True)
    (folder / "vm" / "configurations" / "vm.h").write_text(VM_H)
    (folder / "vm" / "configurations" / "connections.h").write_text(CONNECTIONS_H)
    (folder / "macs.h").write_text(MACS_H)
    path = folder / "app.camkes"
    path.write_text(application())
    return path


def write_imports(folder: Path) -> tuple[Path, list[Path]]:
    """Write the application with imported components in folders of their own; return it and the folders."""
    folders = [folder / "vm", *(folder / f"include{n}" for n in range(FOLDERS - 1))]
    for n, place in enumerate(folders[1 : IMPORTS + 1]):
        place.mkdir()
        header = "#include <configurations/vm.h>\n" if n < IMPORTS // 3 else ""
        (place / f"C{n}.camkes").write_text(f"{header}component C{n} {{ control; uses Foo bar; }}\n")
    path = folder / "imports.camkes"
    path.write_text("".join(f"import <C{n}.camkes>;\n" for n in range(IMPORTS)) + application())
    return path, folders


def check(folder: Path, path: Path, _rounds: int) -> dict[str, Any]:
    """Measure the whole process with hyperfine."""
    tool = Path(sys.executable).parent / "bringup"
    imports, folders = write_imports(folder)
    commands = {
        f"check, {IMPORTS} imports and {FOLDERS} folders": f"{tool} camkes check {imports} "
        + " ".join(f"-I {each}" for each in folders),
        f"check, {LINES} lines and 3 headers": f"{tool} camkes check {path} -I {folder / 'vm'}",
        "bringup --help": f"{tool} --help",
        "python3 -c pass": f"{sys.executable} -c pass",
    }
    report = folder / "hyperfine.json"
    words = ["hyperfine", "--shell=none", "--warmup=3", f"--runs={RUNS}", f"--export-json={report}"]
    # As it is once installed: byte code is there, and the first run has kept the grammar's tables.
    environment = {**os.environ, "BRINGUP_HOME": str(folder), "PYTHONPYCACHEPREFIX": str(folder / "pyc")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    subprocess.run([*words, *commands.values()], env=environment, cwd=folder, check=True, capture_output=True)
    table: dict[str, Any] = {}
    for name, result in zip(commands, json.loads(report.read_text())["results"], strict=True):
        table[f"{name}: wall (mean of {RUNS}, s)"] = round(result["mean"], 3)
        table[f"{name}: user (mean of {RUNS}, s)"] = round(result["user"], 3)
    return table


def read(_folder: Path, path: Path, rounds: int) -> dict[str, Any]:
    """Measure the reader on the application, and on as many of it as make a long file."""
    once = path.read_bytes()
    many = once * (READ_LINES // LINES)
    if read_text(many, "app.camkes").encode() != many:
        raise SystemExit("the reader is not lossless")
    return {
        f"{LINES} lines (median of {rounds}, lines/s)": per_second(
            once, lambda: read_text(once, "a"), rounds
        ),
        f"{LINES * (READ_LINES // LINES)} lines (median of {rounds}, lines/s)": per_second(
            many, lambda: read_text(many, "a"), rounds
        ),
    }


def parse_both(folder: Path, path: Path, rounds: int) -> dict[str, Any]:
    """Measure both grammars on what `cpp -P` makes of the application; they take turns."""
    text = camkes_oracle.preprocessed(path, folder / "vm", [])
    theirs = [(instance, attribute) for instance, attribute, _ in camkes_oracle.settings(text)]
    ours = load_application(path, include=[folder / "vm"]).settings
    if [setting.key for setting in ours] != theirs:
        raise SystemExit("the two grammars do not agree")
    data = text.encode()
    count = text.count("\n")
    mine = per_second(data, lambda: parse(tokenize(text, preprocessed=True)), rounds)
    peer = per_second(data, lambda: camkes_oracle.settings(text), max(1, rounds // 2))
    return {
        f"bringup, {count} lines of cpp's (median of {rounds}, lines/s)": mine,
        f"plyplus, the same text (median of {max(1, rounds // 2)}, lines/s)": peer,
        "ratio to plyplus": round(mine / peer, 1),
    }


def per_second(data: bytes, run: Callable[[], object], rounds: int) -> int:
    """Return how many of the lines of `data` a second of `run` reads."""
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        run()
        times.append(time.perf_counter() - begun)
    return round(data.count(b"\n") / statistics.median(times))


BENCHMARKS: dict[str, Callable[[Path, Path, int], dict[str, Any]]] = {
    "check": check,
    "read": read,
    "parse": parse_both,
}


def main() -> None:
    """Run the benchmarks asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", default=list(BENCHMARKS))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as home:
        path = write(Path(home))
        for name in options.what:
            results[name] = BENCHMARKS[name](Path(home), path, options.rounds)
            print(f"\n{name}")
            for key, value in results[name].items():
                print(f"  {key:<60} {value}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
