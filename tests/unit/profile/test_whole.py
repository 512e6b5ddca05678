"""Board profiles: those in boards/ hold what they should, and a mistake in one is told by file and line."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bringup.base.errors import ProfileError
from bringup.base.firmware import Firmware
from bringup.base.stage import Stage
from bringup.profile.files import find_profile, title_of
from bringup.profile.load import load_profile, profile_names
from bringup.profile.model import (
    Bios,
    BmcFacts,
    BoardIdentity,
    BootFlagBytes,
    ExpectedNic,
    Hypervisor,
    Interrupts,
    Pci,
    Profile,
    Serial,
)
from bringup.twin import machine
from tests import places
from tests.machines.catalogue import E300_9D, TP8F, TP8F_8
from tests.machines.views import View, views

NAMES = [
    "generic-ipmi-x86",
    "supermicro-e300-9d",
    "supermicro-e300-9d-4cn8tp",
    "supermicro-e300-9d-8cn8tp",
    "twin-bochs",
    "twin-e300-9d",
]
# Read by the profile's own functions: `BmcFacts.spacing_s`, `Interrupts.input_of`.
READ_HERE = {"min_command_spacing_s", "ioapic_gsi_bases"}
# What a person compares with the unit at hand.
FOR_PEOPLE = {"manufacturer", "system_product", "model", "optional"}


def profile(suffix: str = "") -> Profile:
    return load_profile("supermicro-e300-9d" + suffix)


def test_names_come_without_reading_any_profile() -> None:
    assert profile_names() == NAMES
    code = "import sys, bringup.profile.load as p; p.profile_names(); sys.exit('pydantic' in sys.modules)"
    # From the checkout, so that the package is found however these tests are run.
    done = subprocess.run([sys.executable, "-c", code], cwd=places.CHECKOUT, check=False, timeout=120)
    assert done.returncode == 0


@pytest.mark.parametrize("name", NAMES)
def test_every_profile_loads_and_every_fact_has_a_source(name: str) -> None:
    loaded = load_profile(name)
    facts = list(loaded.facts())
    assert len(facts) > (15 if name in ("generic-ipmi-x86", "twin-bochs") else 50)
    for path, fact in facts:
        assert fact.grade in ("HIGH", "MED", "INF"), path
        assert loaded.sources[fact.source_key], path
    assert loaded.name == name
    assert title_of(find_profile(name)) == loaded.title


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_is_plain_json_and_reads_back_the_same(name: str) -> None:
    loaded = load_profile(name)
    assert Profile.model_validate_json(json.dumps(loaded.to_dict())) == loaded


def test_the_facts_that_boots_rest_on() -> None:
    board = profile()
    assert board.serial.sol_port.value == 0x2F8
    assert board.serial.baud.value == 115200
    assert board.bmc.stop_boot_flag_expiry.value == (0x00, 0x08, 0x03, 0x08)
    assert board.bmc.boot_flags.uefi_network_persistent.value == (0xE0, 0x04, 0, 0, 0)
    assert board.bmc.uefi_disk_selector.value == 0x24
    assert board.bmc.cipher_order.value == (17, 3)
    assert board.bmc.min_command_spacing_s.value == 5
    assert board.firmware.default.value is Firmware.BIOS
    assert board.hypervisor.bar_limit_bytes.value == 1 << 32


def test_boot_flags_say_what_their_names_say() -> None:
    # IPMI 2.0 table 28-14: 0x80 valid, 0x40 persistent, 0x20 EFI; bits 5:2 of the second byte are the device.
    for name, fact in profile().bmc.boot_flags:
        first, second, *rest = fact.value
        assert first == 0x80 | 0x40 * ("persistent" in name) | 0x20 * name.startswith("uefi"), name
        assert second == {"network": 1, "setup": 6}[name.split("_")[1]] << 2, name
        assert rest == [0, 0, 0]


def test_what_nobody_has_observed_is_absent() -> None:
    board = profile()
    pins = {nic.seen_at.value[0]: nic.ioapic_pin for nic in board.nics if nic.seen_at}
    assert {bdf: pin and pin.value for bdf, pin in pins.items()} == {
        "b5:00.0": 19,
        "b5:00.1": None,
        "17:00.0": 16,
        "17:00.1": 17,
        "17:00.2": None,
        "17:00.3": None,
    }
    # Read on the sibling boards only.
    x722 = [nic.intx_pin for nic in board.nics if nic.id.value == "8086:37d2"]
    assert [(pin and (pin.value, pin.grade)) for pin in x722] == [("A", "MED")] * 2
    assert board.interrupts.root_port_rule and board.interrupts.root_port_rule.grade == "INF"
    assert load_profile("twin-e300-9d").interrupts.root_port_rule is None
    assert board.netboot.ports == ()
    assert board.bios.lan_settings == ()
    for sibling in (profile("-4cn8tp"), profile("-8cn8tp")):
        assert all(nic.ioapic_pin is None for nic in sibling.nics)


def test_siblings_differ_where_the_boards_do() -> None:
    plain, four, eight = profile(), profile("-4cn8tp"), profile("-8cn8tp")

    def count(board: Profile, pci_id: str) -> int:
        return sum(entry.count for entry in board.pci.expected if entry.id == pci_id)

    assert [count(board, "8086:1521") for board in (plain, four, eight)] == [0, 4, 4]
    assert [count(board, "8086:37d0") for board in (plain, four, eight)] == [0, 2, 2]
    assert [count(board, "8086:37c8") for board in (plain, four, eight)] == [0, 0, 2]
    onboard = [{nic.subsystem.value for nic in board.nics if nic.subsystem} for board in (plain, four)]
    assert onboard == [{"15d9:37d2", "1734:11d1"}, {"15d9:1521", "15d9:37d2", "15d9:37d0"}]
    assert {
        nic.seen_at.value[0][:2] for nic in four.nics if nic.id.value.startswith("8086:37d") and nic.seen_at
    } == {"b5"}
    assert {
        nic.seen_at.value[0][:2] for nic in eight.nics if nic.id.value.startswith("8086:37d") and nic.seen_at
    } == {"b7"}
    # A child keeps what it does not change, and its own grade where it does.
    assert eight.serial.sol_port == plain.serial.sol_port
    assert (plain.firmware.supported.grade, eight.firmware.supported.grade) == ("MED", "HIGH")


OF_BOARDS = [
    (suffix, view)
    for suffix, name in (("", E300_9D), ("-4cn8tp", TP8F), ("-8cn8tp", TP8F_8))
    for view in views(name, "pciconf.txt", "pciconf-12.txt")
]


@pytest.mark.parametrize(("suffix", "view"), OF_BOARDS, ids=[str(view) for _, view in OF_BOARDS])
def test_profile_fits_its_machine(suffix: str, view: View) -> None:
    functions = read_pciconf(view.data().decode())
    board = profile(suffix)
    assert board.pci.functions_seen is not None
    assert len(functions) == board.pci.functions_seen.value
    for entry in board.pci.expected:
        assert sum(f["id"] == entry.id for f in functions.values()) == entry.count
    for nic in board.nics:
        assert nic.seen_at is not None
        assert nic.subsystem is not None
        assert nic.bars is not None
        expected = {
            "id": nic.id.value,
            "subsystem": nic.subsystem.value,
            "bars": {bar.index: bar.size_bytes for bar in nic.bars.value},
        }
        # A bus that this NIC was seen on may hold something else in another box.
        assert expected in [functions.get(bdf) for bdf in nic.seen_at.value]


def read_pciconf(text: str) -> dict[str, dict[str, object]]:
    functions: dict[str, dict[str, object]] = {}
    bars: dict[int, int] = {}
    for line in text.splitlines():
        head = re.match(r"\S+@pci0:(\d+):(\d+):(\d+):", line)
        if head:
            bars = {}
            bus, device, function = (int(part) for part in head.groups())
            words = dict(re.findall(r"(\w+)=0x([0-9a-f]+)", line))
            if "chip" in words:
                pair = {key: f"{words[key][4:]}:{words[key][:4]}" for key in ("chip", "card")}
            else:
                pair = {
                    "chip": f"{words['vendor']}:{words['device']}",
                    "card": f"{words['subvendor']}:{words['subdevice']}",
                }
            functions[f"{bus:02x}:{device:02x}.{function}"] = {
                "id": pair["chip"],
                "subsystem": pair["card"],
                "bars": bars,
            }
        bar = re.match(r"\s+bar\s+\[(\w+)\].* size (\d+)", line)
        if bar:
            bars[(int(bar[1], 16) - 0x10) // 4] = int(bar[2])
    return functions


def test_the_twin_is_described_as_it_is_built() -> None:
    twin = load_profile("twin-e300-9d")
    assert twin.virtual
    assert twin.serial.sol_port.value == machine.SOL_IO_PORT
    assert twin.bmc.min_command_spacing_s.value == 0
    built = {nic.name for nic in machine.NICS}
    assert {nic.name for nic in twin.nics if " " not in nic.name} == built
    assert machine.BOOT_NIC in {entry.port for entry in twin.netboot.ports}
    assert twin.pci.functions_seen is None
    assert twin.identity.subsystem is None
    board = profile()
    # Firmware and network stages must not wait on the twin for as long as on a server.
    for stage in (Stage.FIRMWARE, Stage.DHCP):
        assert twin.stages.of(stage).timeout_s < board.stages.of(stage).expected_s


def test_the_generic_profile_knows_no_vendor_and_no_port() -> None:
    generic = load_profile("generic-ipmi-x86")
    assert not generic.virtual
    assert generic.identity == BoardIdentity()
    assert generic.serial == Serial()
    assert (generic.nics, generic.pci.expected, generic.bios) == ((), (), Bios())
    assert (generic.bmc.cipher_order, generic.bmc.spacing_s, generic.bmc.uefi_disk_selector) == (
        None,
        0,
        None,
    )
    assert generic.bmc.boot_flags == BootFlagBytes()
    text = find_profile("generic-ipmi-x86").read_text().lower()
    assert not [word for word in ("supermicro", "e300", "x722", "i350", "aspeed", "aptio") if word in text]


def test_gsis_of_acpi_are_inputs_of_ioapics_that_sel4_may_leave_masked() -> None:
    plain, four = profile(), profile("-4cn8tp")

    def inputs(board: Profile) -> list[tuple[int, int] | None]:
        gsis = [nic.acpi_gsi.value for nic in board.nics if nic.acpi_gsi]
        assert len(gsis) == len(board.nics)
        return [board.interrupts.input_of(gsi) for gsi in gsis]

    assert inputs(plain) == [(3, 6), (3, 6), (2, 0), (2, 4), (2, 5), (2, 6)]
    assert inputs(four) == [(3, 3), (3, 6), (3, 4), (3, 5), *[(3, 6)] * 4]
    assert plain.interrupts.input_of(0) == (0, 0)
    assert load_profile("twin-e300-9d").interrupts.input_of(32) is None


def test_every_fact_is_read_by_something_that_acts_on_it() -> None:
    """By name; what only `boards show` prints is for people and belongs into notes."""
    read: set[str] = set()
    for path in (places.CHECKOUT / "bringup").rglob("*.py"):
        if path.parent.name not in ("profile", "report"):
            read |= {
                node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)
            }
    for part in (BoardIdentity, Serial, BmcFacts, BootFlagBytes, ExpectedNic, Interrupts, Pci, Hypervisor):
        unread = set(part.model_fields) - read - READ_HERE - FOR_PEOPLE
        assert not unread, f"{part.__name__}: {', '.join(unread)}"


def test_inferences_are_named_for_the_sections_used() -> None:
    board = profile()
    assert board.unconfirmed("bmc") == (
        "bmc.cipher_order = [17, 3]",
        "bmc.min_command_spacing_s = 5.0",
        "bmc.media_boot_target = UsbCd",
        "bmc.boot_flags.bios_network_once = [128, 4, 0, 0, 0]",
        "bmc.boot_flags.bios_network_persistent = [192, 4, 0, 0, 0]",
    )
    assert board.unconfirmed("stages.kernel-image", "serial") == ("stages.kernel-image = 3 s, at most 60 s",)
    assert set(board.unconfirmed()) > set(board.unconfirmed("bmc"))


# Mistakes. Each is a child of the real profile, so that one line is enough to be wrong.

BASE = 'extends = "supermicro-e300-9d"\n'
FACT = 'grade = "HIGH", source = "pr-90" }'


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        (
            "[serial]\nbuad = 1\n",
            3,
            "unknown key `buad` in [serial]; did you mean `baud`?",
        ),
        (
            "[stages]\ndhcp = { expected = 1, timeout_s = 2, " + FACT,
            3,
            "unknown key `expected` in [stages.dhcp]; did you mean `expected_s` (in seconds)?",
        ),
        (
            "[stages]\ndchp = { expected_s = 1, timeout_s = 2, " + FACT,
            3,
            "unknown key `dchp` in [stages]; did you mean `dhcp`?",
        ),
        ("colour = 1\n", 2, "unknown key `colour` in the top of the file"),
        ('name = "x"\n', 2, "unknown key `name` in the top of the file"),
        (
            '[serial]\nbaud = { value = "115200", ' + FACT,
            3,
            '`serial.baud.value` is "115200" (a text): expected a whole number',
        ),
        (
            '[bmc]\nmin_command_spacing_s = { value = "5 s", ' + FACT,
            3,
            '`bmc.min_command_spacing_s.value` is "5 s" (a text): expected a number of seconds',
        ),
        (
            "[serial]\nbaud = { value = true, " + FACT,
            3,
            "`serial.baud.value` is true: expected a whole number",
        ),
        ("[serial]\nbaud = 115200\n", 3, "`serial.baud`: expected a table"),
        ("serial = 3\n", 2, "`serial`: expected a table"),
        (
            "[serial]\nsol_port = { value = 0x10000, " + FACT,
            3,
            "`serial.sol_port.value` is 65536: expected at most 65535",
        ),
        (
            "[bmc]\nmin_command_spacing_s = { value = -1, " + FACT,
            3,
            "`bmc.min_command_spacing_s.value` is -1: expected at least 0",
        ),
        (
            "[bmc]\nmin_command_spacing_s = { value = nan, " + FACT,
            3,
            "`bmc.min_command_spacing_s.value` is nan: expected a finite number",
        ),
        (
            '[serial]\nbaud = { value = 9600, grade = "HGIH", source = "pr-90" }\n',
            3,
            '`serial.baud.grade` is "HGIH" (a text): expected one of "HIGH", "MED", "INF" or "measured"',
        ),
        (
            '[serial]\nbaud = { value = 9600, source = "pr-90" }\n',
            3,
            "[serial.baud] has no `grade`",
        ),
        (
            '[serial]\nbaud = { value = 9600, grade = "HIGH", source = "" }\n',
            3,
            '`serial.baud.source` is "" (a text): expected a text that is not empty',
        ),
        (
            '[serial]\nbaud = { value = 9600, grade = "HIGH", source = "pr90: x" }\n',
            3,
            "the source `pr90` is not in [sources]; did you mean `pr-90`?",
        ),
        (
            '[firmware]\ndefault = { value = "efi", ' + FACT,
            3,
            '`firmware.default.value` is "efi" (a text): expected one of "bios" or "uefi"',
        ),
        (
            '[firmware]\n\nsupported = { value = ["uefi"], ' + FACT,
            2,
            '`firmware`: `default` is "bios", which `supported` does not list',
        ),
        (
            '[[nics]]\nname = "a"\nmodel = "m"\n\nid = { value = "8086:37D2", ' + FACT,
            6,
            '`nics[0].id.value` is "8086:37D2" (a text): expected the form "8086:37d2"',
        ),
        (
            '[[nics]]\nname = "a"\nmodel = "m"\n',
            2,
            "number 1 of [[nics]] has no `id`",
        ),
        (
            '[[nics]]\nname = "a"\nmodel = "m"\nid = { value = "8086:37d2", ' + FACT + "\n[nics.bars]\n"
            'grade = "HIGH"\nsource = "pr-90"\nvalue = [\n { index = 0, kind = "io", size_bytes = 32 },\n'
            ' { index = 1, kind = "io", size_bytes = 33 },\n]\n',
            11,
            "`nics[0].bars.value[1]`: `size_bytes` is 33, expected a power of two (PCI 3.0 6.2.5.1)",
        ),
        (
            '[netboot]\nports = "LAN1"\n',
            3,
            '`netboot.ports` is "LAN1" (a text): expected a list [...]',
        ),
        (
            "[stages]\ndhcp = { expected_s = 9, timeout_s = 9, " + FACT,
            3,
            "`stages.dhcp`: `timeout_s` (9) must be greater than `expected_s` (9)",
        ),
        (
            "[bmc.boot_flags]\nuefi_setup_once = { value = [0xa0, 0x18], " + FACT,
            2,
            "`bmc.boot_flags`: `uefi_setup_once` has 2 bytes, expected 5",
        ),
        ("[bmc]\ncipher_order = \n", 3, "not valid TOML: invalid value"),
        ('[firmware]\ndefault = "not observed"\n', 3, "[firmware] has no `default`"),
        (
            "[bmc]\ncipher_order = { value = [17, 0], " + FACT,
            3,
            "`bmc.cipher_order.value[1]` is 0: expected one of 3 or 17",
        ),
    ],
)
def test_mistakes_are_told_by_line(tmp_path: Path, text: str, line: int, sentence: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(BASE + text)
    with pytest.raises(ProfileError) as caught:
        load_profile("mine", [tmp_path])
    assert caught.value.message == f"{path}:{line}: {sentence}"
    assert caught.value.exit_code == 12


def test_all_mistakes_are_told_and_known_keys_listed(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(BASE + "[serial]\nbuad = 1\nport = 2\n")
    with pytest.raises(ProfileError) as caught:
        load_profile("mine", [tmp_path])
    hint = caught.value.hint or ""
    assert hint.startswith("keys of [serial]: sol_port, baud; also: ")
    assert "mine.toml:4: unknown key `port` in [serial]; did you mean `sol_port`?" in hint


def test_a_mistake_in_the_base_is_told_there(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text(BASE + "\n\n[serial]\nbaud = 3\n")
    (tmp_path / "mine.toml").write_text('extends = "base"\n')
    with pytest.raises(ProfileError, match=r"base\.toml:5: `serial\.baud`: expected a table"):
        load_profile("mine", [tmp_path])


def test_merging_tables_lists_facts_and_taking_away(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        BASE + 'title = "Mine"\nnotes = ["one"]\n[sources]\nmine = "my board"\n'
        '[serial]\nbaud = { value = 9600, grade = "INF", source = "mine: seen once" }\n'
        '[pci]\nfunctions_seen = "not observed"\n'
    )
    mine = load_profile("mine", [tmp_path])
    base = profile()
    assert (mine.title, mine.summary) == ("Mine", base.summary)
    assert mine.notes == ("one",)
    assert (mine.serial.baud.value, mine.serial.baud.grade, mine.serial.baud.source_key) == (
        9600,
        "INF",
        "mine",
    )
    assert mine.serial.sol_port == base.serial.sol_port
    assert mine.pci.functions_seen is None
    assert mine.pci.expected == base.pci.expected


def test_a_changed_value_must_bring_its_own_source(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(BASE + "[serial]\nbaud = { value = 9600 }\n")
    with pytest.raises(ProfileError, match=r"mine\.toml:3: \[serial\.baud\] has no `grade`"):
        load_profile("mine", [tmp_path])


def test_a_cycle_names_both_files(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('extends = "b"\n')
    (tmp_path / "b.toml").write_text('\nextends = "a"\n')
    with pytest.raises(ProfileError) as caught:
        load_profile("a", [tmp_path])
    a, b = tmp_path / "a.toml", tmp_path / "b.toml"
    assert caught.value.message == f"{b}:2: {b} extends {a}, which already extends it"
    (tmp_path / "c.toml").write_text('extends = "c"\n')
    with pytest.raises(ProfileError, match=r"c\.toml:1: \S+c\.toml extends itself"):
        load_profile("c", [tmp_path])


def test_a_chain_is_bounded(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"p{number}.toml").write_text(f'extends = "p{number + 1}"\n')
    with pytest.raises(ProfileError, match="more than 8 profiles extend each other"):
        load_profile("p0", [tmp_path])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            'extends = "supermicro-e300"\n',
            r':1: `extends`: there is no profile "supermicro-e300"; did you mean',
        ),
        ("extends = 3\n", r":1: `extends` is not the name of a profile"),
        ('extends = "../etc/passwd"\n', r":1: `extends` is not the name of a profile"),
        ("", r":1: the top of the file has no `title`"),
    ],
)
def test_bases_that_are_none(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(ProfileError, match=r"mine\.toml" + sentence):
        load_profile("mine", [tmp_path])


def test_unknown_names_and_paths(tmp_path: Path) -> None:
    with pytest.raises(ProfileError) as caught:
        load_profile("supermicro-e300-9")
    assert caught.value.message == 'there is no profile "supermicro-e300-9"; did you mean supermicro-e300-9d?'
    assert "twin-e300-9d" in (caught.value.hint or "")
    with pytest.raises(ProfileError, match="there is no profile file"):
        load_profile(tmp_path / "none.toml")


def test_a_path_and_a_lab_folder_come_first(tmp_path: Path) -> None:
    (tmp_path / "twin-e300-9d.toml").write_text(BASE + 'title = "Ours"\n')
    (tmp_path / "beside.toml").write_text('extends = "twin-e300-9d"\n')
    assert load_profile("twin-e300-9d", [tmp_path]).title == "Ours"
    assert load_profile("twin-e300-9d").title != "Ours"
    assert load_profile(tmp_path / "beside.toml").title == "Ours"
    assert load_profile("beside", [tmp_path]).title == "Ours"


def test_a_pipe_among_the_profiles_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    assert title_of(tmp_path / "pipe.toml") is None
    with pytest.raises(ProfileError, match=r"pipe\.toml is not a regular file"):
        load_profile("pipe", (tmp_path,))
