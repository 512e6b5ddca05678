"""What was not checked is said; and the mistakes of the field come out without a capture, too."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.camkes.model import Application, Place, Setting, Unevaluated
from bringup.pci.model import Bar, Function
from bringup.rules.check import check
from tests.unit.camkes.passthrough import application, function
from tests.unit.rules.world import frozen, irq, world

NEEDS_CAPTURE = {
    "C10", "C13", "C14", "C17", "C20", "C21", "C22", "C23", "C26", "C27", "C28", "C33", "C34", "C35", "C40",
    "C47",
}  # fmt: skip
HUGE = 1 << 64
NEEDS_BUILD = {"C45", "C46", "C48"}


def test_without_a_capture_what_needs_one_is_listed() -> None:
    w = world()
    w.captured, w.profile = False, None
    report = w.report()
    assert report.clean
    assert {gap.rule for gap in report.gaps if "--capture" in gap.needs} == NEEDS_CAPTURE | {"F1"}
    assert set(report.unchecked) == NEEDS_CAPTURE | {"C45"}


def test_without_a_build_what_needs_one_is_listed() -> None:
    w = world()
    w.built = False
    assert set(w.report().unchecked) == NEEDS_BUILD


def test_two_vms_without_a_capture_may_share_a_pin() -> None:
    w = world()
    w.two_devices()
    w.captured = False
    assert "C4" in w.report().unchecked


def test_a_capture_that_saw_little_leaves_gaps_and_claims_nothing() -> None:
    w = world()
    w.functions = {"17:00.0": Function(function("17:00.0").bdf)}
    w.pins = {}
    w.dmar, w.madt, w.iomem = None, None, None
    report = w.report()
    assert report.clean, report.findings
    told = {gap.rule for gap in report.gaps}
    assert {"C4", "C10", "C13", "C17", "C27", "C28", "C33", "C34", "C35", "F1"} <= told


def test_a_bar_of_unknown_size_is_a_gap() -> None:
    w = world()
    w.change("17:00.0", bars=(Bar(0, "mem", 0xC5B00000), Bar(2, "io", 0x7060)))
    report = w.report()
    assert {"C17", "C28"} <= set(report.unchecked)


def test_firmware_bars_count_before_those_of_the_os() -> None:
    w = world()
    moved = Bar(0, "mem", 0xC5B00000, None)
    w.change(
        "17:00.0",
        firmware_bars=(moved, Bar(2, "io", 0x7060), Bar(3, "mem", 0xC5E0C000)),
        bars=(Bar(0, "mem", 0x38C000000000, 0x100000), Bar(2, "io", 0x7060, 32), Bar(3, "mem", 0, 0x4000)),
    )
    # The numbers are right; that Linux saw others is told, as probe-pci does.
    assert [f.code for f in w.report().findings] == ["firmware-bar-differs"]


def test_an_ioapic_beyond_the_first_needs_the_build_and_the_machine() -> None:
    w = world()
    w.captured, w.built = False, False
    w.vm0["vm_irqs"][0].update(ioapic=1)
    assert {"C2", "C3"} <= set(w.report().unchecked)


def test_a_kernel_that_is_not_known_is_taken_to_be_one_for_xapic() -> None:
    w = world()
    w.platform, w.built = replace(w.platform, x2apic=True), False
    assert w.found("C47")["x2apic-on"].severity == "error"
    assert "C47" in w.report().unchecked


def test_dest_3_needs_the_build() -> None:
    w = world()
    w.built = False
    w.vm0["vm_irqs"][0].update(dest=3)
    report = w.report()
    assert report.clean
    assert "C6" in report.unchecked


# Mistakes of the field.


@pytest.mark.parametrize(("start", "end"), [(0xC020, 0xC03F), (0xC040, 0xC05F), (0x7060, 0x707F)])
def test_an_inclusive_end_is_seen_without_a_capture(start: int, end: int) -> None:
    w = world()
    w.captured, w.profile = False, None
    w.vm0["vm_ioports"][0].update(start=start, end=end)
    assert w.found("C28")["inclusive-end"].fix == f'write "end":{end + 1:#x}'


@pytest.mark.parametrize("source", [11, 0xB, 10])
def test_a_source_copied_from_sysfs_is_seen(source: int) -> None:
    w = world()
    w.vm0["vm_irqs"][0].update(source=source)
    finding = w.found("F1")["source-copied"]
    assert finding.severity == "error"
    assert finding.fix == 'write "ioapic":0, "source":16'
    if source == 11:
        assert "/sys/bus/pci/devices/0000:17:00.0/irq" in finding.message


def test_a_missing_ioapic_and_a_number_of_sysfs_are_both_told() -> None:
    w = world()
    w.vm0["vm_irqs"][0].update(source=11)
    del w.vm0["vm_irqs"][0]["ioapic"]
    assert w.found("C1") and w.found("F1")["source-copied"].fix == 'write "ioapic":0, "source":16'


def test_by_the_profile_alone_a_pin_of_sysfs_is_wrong_too() -> None:
    w = world()
    w.captured = False
    w.vm0["vm_irqs"][0].update(source=11)
    finding = w.found("F1")["source-copied"]
    assert finding.severity == "error"
    assert "16" in finding.fix
    assert "supermicro-e300-9d" in finding.evidence[0]


def test_with_nothing_known_a_small_source_is_doubtful() -> None:
    w = world()
    w.captured, w.profile = False, None
    w.vm0["vm_irqs"][0].update(source=11)
    assert w.found("F1")["source-copied"].severity == "warning"


def test_an_io_bar_without_its_range_is_known_from_the_profile() -> None:
    w = world()
    w.captured = False
    del w.vm0["vm_ioports"]
    assert w.found("C28")["io-bar-uncovered"].severity == "error"


def test_a_rom_is_guessed_from_the_profile() -> None:
    w = world()
    w.captured = False
    w.vm0["pci_devices"][0]["memory"].append({"paddr": 0xFBD80000, "size": 0x80000, "page_bits": 12})
    assert "512 KiB" in w.found("C22")["rom-listed"].message


def test_bars_of_the_other_port_name_it() -> None:
    w = world()
    w.vm0["pci_devices"][0]["memory"][0]["paddr"] = 0xC5A00000
    finding = w.found("C17")["bar-of-other"]
    assert "BAR 0 of 17:00.1" in finding.message
    assert "bar-unlisted" in w.found("C17")


def test_a_moved_bar_is_told_once_with_both_addresses() -> None:
    w = world()
    w.vm0["pci_devices"][0]["memory"][0]["paddr"] = 0xC5700000
    found = w.found("C17")
    assert set(found) == {"bar-moved"}
    assert "0xc5b00000" in found["bar-moved"].message
    assert "0xc5700000" in found["bar-moved"].message


def test_two_x722_ports_cannot_go_to_two_vms() -> None:
    w = world()
    w.functions["b5:00.1"] = replace(w.functions["b5:00.0"], bdf=function("b5:00.1").bdf)
    w.pins["b5:00.1"] = (19, "known")
    w.two_devices()
    w.vm0["pci_devices"][0].update(bus=0xB5, fun=0)
    w.vm1["pci_devices"][0].update(bus=0xB5, fun=1)
    assert "one of the VMs never gets" in w.found("C4")["pin-shared"].message


@pytest.mark.parametrize(
    "console", ["ttyS1", "ttyS1,115200n0", "ttyS0,115200n0", "ttyS0,flow", "ttyS0,1152000"]
)
def test_a_guest_console_that_shows_nothing(console: str) -> None:
    w = world()
    w.vm0["kernel_cmdline"] = f"console={console} pci=nomsi"
    assert "guest-console" in w.found("F5")


@pytest.mark.parametrize("console", ["ttyS0", "ttyS0,115200", "ttyS0,115200n8r", "tty0", "hvc0"])
def test_a_guest_console_that_works(console: str) -> None:
    w = world()
    w.vm0["kernel_cmdline"] = f"console={console} pci=nomsi"
    assert not w.found("F5")


def test_old_spellings_name_the_command_that_migrates() -> None:
    w = world()
    w.others["vm0_config.irqs"] = []
    finding = w.found("F3")["old-spelling"]
    assert "vm0.vm_irqs" in finding.fix
    assert "bringup camkes migrate" in finding.fix


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("vm_ioport", "vm_ioports"),
        ("pci_device", "pci_devices"),
        ("vm_irq", "vm_irqs"),
        ("irqs", "vm_irqs"),
        ("guest_ram", "guest_ram_mb"),
        ("simple_untyped_23_pool", "simple_untyped23_pool"),
        ("iospace_domains", "iospace_domain"),
    ],
)
def test_a_misspelt_attribute_names_its_nearest(written: str, meant: str) -> None:
    w = world()
    w.vm0[written] = 1
    assert meant in w.found("C42")["unknown-attribute"].fix


def test_while_includes_are_missing_the_unknown_is_only_doubtful() -> None:
    w = world()
    w.missing = ("configurations/vm.h",)
    w.vm0["something_of_our_own"] = 1
    w.others["vm7.guest_ram_mb"] = 128
    assert {f.severity for f in w.found("C42").values()} == {"warning"}


# Values that are not what they should be.


@pytest.mark.parametrize(
    ("attribute", "value", "slug"),
    [
        ("vm_ioports", [0x7060, 0x7080], "shorthand"),
        ("pci_devices", [0x17, 0, 0], "shorthand"),
        ("vm_irqs", [[16, 11]], "shorthand"),
        ("vm_irqs", 16, "not-a-list"),
        ("vm_irqs", ["eth"], "not-a-dictionary"),
        (
            "vm_irqs",
            [{"name": "eth", "ioapic": 0, "source": 16, "level_trig": 0, "active_low": 1}],
            "missing-key",
        ),
        ("vm_irqs", [{**irq(16, 11), "dest": "11"}], "wrong-type"),
        ("vm_irqs", [{**irq(16, 11), "dest": HUGE}], "wrong-type"),
        ("vm_irqs", [{**irq(16, 11), "colour": 1}], "unknown-key"),
        ("pci_devices", [{"name": "e", "bus": 1, "dev": 0, "fun": 0, "irq": 11, "memory": []}], "wrong-type"),
        (
            "pci_devices",
            [{"name": "e", "bus": 1, "dev": 0, "fun": 0, "irq": "e", "memory": [1]}],
            "memory-entry",
        ),
        ("pci_devices", [{"name": "e", "bus": 1, "dev": 0, "fun": 0, "irq": "e", "memory": 1}], "wrong-type"),
        ("exclude_paddr", [0x1000, 0x1000], "not-a-pair"),
        ("init_cons", [{"badge": "1"}], "init-cons"),
        ("guest_ram_mb", "1024", "wrong-type"),
        ("kernel_cmdline", 5, "wrong-type"),
        ("simple_untyped23_pool", "20", "wrong-type"),
        ("simple_untyped23_pool", HUGE, "wrong-type"),
    ],
)
def test_a_malformed_value_is_told_and_left_out(attribute: str, value: object, slug: str) -> None:
    w = world()
    value = 1 << 20000 if value == HUGE else value  # more digits than Python prints
    w.vm0[attribute] = value
    found = w.found("F2")
    assert slug in found, sorted(found)


def test_a_misspelt_key_is_told_with_what_is_meant() -> None:
    w = world()
    entry = w.vm0["vm_irqs"][0]
    entry["sourc"] = entry.pop("source")
    assert w.found("F2")["missing-key"].fix == 'rename "sourc" to "source"'


def test_places_are_those_of_the_entries() -> None:
    w = world()
    w.vm0["vm_irqs"].append({**irq(18, 99), "name": "second"})
    (finding,) = w.found("C5").values()
    first = next(s for s in w.application().settings if s.attribute == "vm_irqs")
    assert finding.place == first.places[1] != first.places[0]


def test_a_value_that_camkes_computes_is_a_gap() -> None:
    w = world()
    w.vm0["vm_irqs"] = Unevaluated("reference", "other.irqs")
    w.vm0["kernel_cmdline"] = Unevaluated("macro", "VM_GUEST_CMDLINE")
    report = w.report()
    assert any(gap.rule == "F2" and "other.irqs" in gap.what for gap in report.gaps)
    assert any(gap.rule == "F2" and "VM_GUEST_CMDLINE" in gap.what for gap in report.gaps)
    assert not any(finding.rule in ("F2", "C44") for finding in report.findings)


def test_an_application_without_vms_has_nothing_to_check() -> None:
    report = check(Application("empty.camkes", (), ()))
    assert report.clean
    assert report.gaps == ()


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "vm0.vm_irqs",
                "vm0.vm_ioports",
                "vm0.pci_devices",
                "vm0.exclude_paddr",
                "vm0.init_cons",
                "vm0.guest_ram_mb",
                "vm0.kernel_cmdline",
                "vm0.simple_untyped23_pool",
                "vm0.cnode_size_bits",
                "vm0.ether_1_send_shmem_size",
                "vm0_config.irqs",
                "vm0.iospace_domain",
            ]
        ),
        st.recursive(
            st.one_of(
                st.integers(),
                st.integers(-(1 << 70), 1 << 70),
                st.floats(),
                st.text(max_size=8),
                st.booleans(),
                st.just(Unevaluated("query", "dtb({})")),
            ),
            lambda inner: (
                st.lists(inner, max_size=4)
                | st.dictionaries(
                    st.sampled_from(
                        [
                            "name",
                            "bus",
                            "dev",
                            "fun",
                            "irq",
                            "memory",
                            "paddr",
                            "size",
                            "page_bits",
                            "start",
                            "end",
                            "ioapic",
                            "source",
                            "level_trig",
                            "active_low",
                            "dest",
                            "init",
                            "x",
                        ]
                    ),
                    inner,
                    max_size=8,
                )
            ),
            max_leaves=20,
        ),
    )
)
def test_no_value_makes_the_check_fail(values: dict[str, object]) -> None:
    settings = tuple(
        Setting(key.partition(".")[0], key.partition(".")[2], frozen(value), Place("a.camkes", n + 1))
        for n, (key, value) in enumerate(values.items())
    )
    base = application(("vm0",))
    w = world()
    report = check(
        replace(base, settings=settings), assessment=w.assessment(), build=w.build(), profile=w.profile
    )
    for finding in report.findings:
        assert finding.message and len(finding.message) < 600
