"""Who gets what: devices named three ways, the values that follow, and everything that is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.base.errors import BringupError, ProfileError, UsageError
from bringup.base.finding import Finding
from bringup.camkes.assign.model import Passthrough
from bringup.camkes.assign.request import Wanted, find_device, parse_wanted
from bringup.camkes.assign.solve import assign
from bringup.pci.assessment import Assessment, Passability
from bringup.pci.model import Acpi, Bar, Bdf, Dmar, Machine, MeasuredPin, Rmrr, Scope
from bringup.profile.load import load_profile
from bringup.rules.assess import assess
from tests.unit.camkes.passthrough import E300, application, assessed, function, i350, x722

E300_PROFILE = load_profile("supermicro-e300-9d")


def judged(machine: Machine) -> Assessment:
    """Return what the rules say of a machine whose every pin was measured."""
    pins = (MeasuredPin(f.bdf, 0, 16 + n, "probe") for n, f in enumerate(machine.functions))
    return assess(replace(machine, measured=tuple(pins)))


def values(passthrough: Passthrough, vm: str) -> dict[str, object]:
    return {p.attribute: p.value for p in passthrough.settings() if p.instance == vm}


def wanted(*texts: str) -> list[Wanted]:
    return [parse_wanted(text) for text in texts]


# What comes out.


def test_two_i350_ports_for_two_vms_are_the_numbers_of_the_working_system() -> None:
    passthrough = assign(assessed(), wanted("vm2=17:00.1", "vm0=17:00.0"), application())
    vm0, vm2 = values(passthrough, "vm0"), values(passthrough, "vm2")
    assert vm0["vm_ioports"] == ({"start": 0x7060, "end": 0x7080, "pci_device": 0, "name": "eth_17_00_0"},)
    assert vm0["pci_devices"] == (
        {
            "name": "eth_17_00_0",
            "bus": 0x17,
            "dev": 0,
            "fun": 0,
            "irq": "eth_17_00_0_irq",
            "memory": (
                {"paddr": 0xC5B00000, "size": 0x100000, "page_bits": 12},
                {"paddr": 0xC5E0C000, "size": 0x4000, "page_bits": 12},
            ),
        },
    )
    irq = {"name": "eth_17_00_0_irq", "ioapic": 0, "source": 16, "level_trig": 0, "active_low": 1, "dest": 10}
    assert vm0["vm_irqs"] == (irq,)
    other = {**irq, "name": "eth_17_00_1_irq", "source": 17, "dest": 11}
    assert vm2["vm_irqs"] == (other,)
    assert (vm0["iospace_domain"], vm2["iospace_domain"]) == (0x0F, 0x11)
    assert vm0["pci_devices_iospace"] and vm2["pci_devices_iospace"]
    assert passthrough.vms == ("vm0", "vm2")


def test_the_rom_is_no_memory_and_small_bars_get_whole_pages() -> None:
    machine = Machine(
        (function("03:00.0", bars=(Bar(0, "mem", 0xC0000000, 256), Bar(5, "mem", 0xC0001000, 0x2000))),)
    )
    passthrough = assign(assessed(machine, {"03:00.0": (18, "known")}), wanted("vm0=03:00.0"), application())
    frames = [(f.paddr, f.size, f.bars) for f in passthrough.grants[0].frames]
    assert frames == [(0xC0000000, 0x1000, (0,)), (0xC0001000, 0x2000, (5,))]
    assert "vm_ioports" not in values(passthrough, "vm0")


def test_the_firmwares_addresses_are_the_ones_the_vmm_will_find() -> None:
    moved = function(
        "03:00.0",
        bars=(Bar(0, "mem", 0xC0000000, 0x20000),),
        firmware_bars=(Bar(0, "mem", 0xD0000000),),
    )
    passthrough = assign(
        assessed(Machine((moved,)), {"03:00.0": (18, "known")}), wanted("vm0=03:00.0"), application()
    )
    assert [(f.paddr, f.size) for f in passthrough.grants[0].frames] == [(0xD0000000, 0x20000)]


def test_devices_on_one_pin_of_one_vm_share_one_entry_and_say_so() -> None:
    passthrough = assign(assessed(), wanted("vm1=b5:00.0", "vm1=b5:00.1"), application())
    assert len(values(passthrough, "vm1")["vm_irqs"]) == 1  # type: ignore[arg-type]
    assert {grant.irq for grant in passthrough.grants} == {"eth_b5_00_0_irq"}
    assert any("share one interrupt" in caution for caution in passthrough.cautions)


def test_two_vms_with_one_iommu_group_are_told() -> None:
    machine = Machine(tuple(replace(f, iommu_group=7) for f in E300.functions))
    split = assign(assessed(machine), wanted("vm0=17:00.0", "vm1=17:00.1"), application())
    assert any("one IOMMU group and go to two VMs" in caution for caution in split.cautions)
    assert not assign(assessed(machine), wanted("vm0=17:00.0", "vm0=17:00.1"), application()).cautions


def test_two_devices_on_one_page_are_refused() -> None:
    small = [function(f"03:00.{n}", bars=(Bar(0, "mem", 0xC0000000, 0x1000),)) for n in (0, 1)]
    told = assessed(Machine(tuple(small)), {"03:00.0": (18, "known"), "03:00.1": (19, "known")})
    for other in ("vm0", "vm1"):
        with pytest.raises(ProfileError, match="share the page 0xc0000000"):
            assign(told, wanted("vm0=03:00.0", f"{other}=03:00.1"), application())


def test_a_device_is_named_by_bdf_mac_port_or_smbios_name() -> None:
    for text in ("17:00.0", "0000:17:00.0", "00:19:99:E3:1C:15", "SLOT7 I350 function 0"):
        assert find_device(text, E300, E300_PROFILE).bdf == Bdf(0, 0x17, 0, 0)
    for text in ("X722 #2", "intel lan x722 #2"):
        assert find_device(text, E300, E300_PROFILE).bdf == Bdf(0, 0xB5, 0, 1)


def test_a_port_is_found_by_name_on_another_bus() -> None:
    moved = Machine((x722("b7:00.0", 0xFA000000, 0xFB008000), x722("b7:00.1", 0xF9000000, 0xFB000000)))
    assert find_device("X722 #2", moved, E300_PROFILE).bdf == Bdf(0, 0xB7, 0, 1)


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        ({}, 10),
        ({"vm1.vm_irqs": ({"name": "x", "ioapic": 0, "source": 20, "dest": 10},)}, 11),
        ({"vm0.guest_cid": 3}, 11),
        ({"vm0.socket_layout": ({"cid": 3},)}, 11),
        ({"ehci.hw_irq_vector": 10, "usb.hw_irq_vector": 11}, 5),
    ],
)
def test_the_guest_irq_is_free_over_the_whole_assembly(taken: dict[str, object], expected: int) -> None:
    app = application(settings=taken)  # type: ignore[arg-type]
    assert assign(assessed(), wanted("vm0=17:00.0"), app).grants[0].dest == expected


def test_names_and_guest_irqs_of_the_application_stay() -> None:
    app = application(
        settings={
            "vm0.pci_devices": (
                {"name": "eth", "bus": 0x65, "dev": 0, "fun": 0, "irq": "eth_irq", "memory": ()},
            ),
            "vm0.vm_irqs": ({"name": "eth_irq", "ioapic": 0, "source": 11, "dest": 14},),
            "vm0.iospace_domain": 0x22,
        }
    )
    grant = (passthrough := assign(assessed(), wanted("vm0=17:00.0"), app)).grants[0]
    assert (grant.name, grant.irq, grant.dest) == ("eth", "eth_irq", 14)
    assert passthrough.domains == {"vm0": 0x22}


def test_memory_the_firmware_reserves_is_left_out_of_the_guest() -> None:
    def with_rmrr(base: int, limit: int) -> Machine:
        scope = Scope(1, 0, 0x17, ((0, 0),), bdf=Bdf(0, 0x17, 0, 0))
        dmar = Dmar(46, 0, (), (Rmrr(0, base, limit, (scope,)),))
        return replace(E300, acpi=Acpi(dmar=dmar))

    passthrough = assign(judged(with_rmrr(0xAE000000, 0xAE00FFFF)), wanted("vm0=17:00.0"), application())
    assert values(passthrough, "vm0")["exclude_paddr"] == ((0xAE000000, 0x10000),)
    with pytest.raises(ProfileError, match="C36"):
        assign(judged(with_rmrr(0x7B800000, 0x7BFFFFFF)), wanted("vm0=17:00.0"), application())


# What is refused.


@pytest.mark.parametrize("text", ["", "vm0", "=17:00.0", "vm0=", "vm 0=17:00.0", "vm0=\n", "1=2"])
def test_what_is_no_assignment_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="VM=DEVICE"):
        parse_wanted(text)


@pytest.mark.parametrize(
    ("assignments", "says"),
    [
        (["vm3=17:00.0"], "no VM vm3; did you mean vm"),
        (["vm0=17:00.0", "vm1=17:00.0"], "17:00.0 is assigned to vm0 and to vm1"),
        (["vm0=17:00.0", "vm0=00:19:99:e3:1c:15"], "twice"),
        (["vm0=b5:00.0", "vm1=17:00.3"], "share IOAPIC pin 0/19"),
        (["vm0=18:00.0"], "18:00.0 is not in the capture"),
        (["vm0=b7:00.1"], "b7:00.1 is not in the capture"),
        (["vm0=17:20.0"], "no PCI address"),
        (["vm0=02:00:00:00:00:99"], "no port of this capture has the MAC"),
        (["vm0=X722 #3"], r"knows no port .*did you mean X722 #"),
    ],
)
def test_what_cannot_be_assigned_is_refused_in_one_sentence(assignments: list[str], says: str) -> None:
    with pytest.raises(BringupError, match=says) as told:
        assign(assessed(), wanted(*assignments), application(), profile=E300_PROFILE)
    assert "\n" not in told.value.message
    assert told.value.exit_code in (2, 12)


def test_a_bdf_that_moved_is_found_again() -> None:
    moved = Machine((x722("b7:00.0", 0xFA000000, 0xFB008000), x722("b7:00.1", 0xF9000000, 0xFB000000)))
    with pytest.raises(ProfileError, match=r"b5:00\.1 is not in the capture: it moved to b7:00\.1\?"):
        find_device("b5:00.1", moved, E300_PROFILE)


def test_unpassable_devices_are_refused_and_changes_have_to_be_accepted() -> None:
    beyond = Finding(
        "C14", "beyond-pci-table", "error", "131st", (), "raise it", "util_libs#201", Bdf(0, 0xB5, 0, 0)
    )
    told = assessed(
        words={
            "17:00.0": Passability("not-passable", reasons=("it has no INTx pin",)),
            "17:00.1": Passability("unknown", reasons=("its command register was not observed",)),
            "b5:00.0": Passability("needs-change", changes=("PCI_MAX_DEVICES must be 256",)),
        },
        findings=[beyond],
    )
    with pytest.raises(ProfileError, match="cannot be given to a VM: it has no INTx pin") as refused:
        assign(told, wanted("vm0=17:00.0"), application(), accept=["beyond-pci-table", "unknown"])
    assert "17:00.2" in (refused.value.hint or "")
    with pytest.raises(ProfileError, match="needs a change") as refused:
        assign(told, wanted("vm0=b5:00.0"), application())
    assert refused.value.hint == "once that is done: --accept beyond-pci-table"
    passthrough = assign(told, wanted("vm0=b5:00.0"), application(), accept=["beyond-pci-table"])
    assert passthrough.cautions == ("b5:00.0: PCI_MAX_DEVICES must be 256",)
    with pytest.raises(ProfileError, match="command register") as refused:
        assign(told, wanted("vm0=17:00.1"), application())
    assert refused.value.hint == "all the same: --accept unknown"


def test_what_was_not_observed_is_accepted_apart_from_the_changes() -> None:
    at = Bdf.parse("b5:00.0")
    masked = Finding(
        "C2", "ioapic-not-recorded", "warning", "masked", (), "", "", at, effect="unknown", words="which pin?"
    )
    beyond = Finding("C14", "beyond-pci-table", "error", "131st", (), "raise it", "", at)
    unknown = Passability("unknown", reasons=("which pin?",))
    change = Passability("needs-change", changes=("more",), unsettled=("what it is",))
    for word, finding, codes in (
        (unknown, masked, ["ioapic-not-recorded", "unknown"]),
        (change, beyond, ["beyond-pci-table", "unknown"]),
    ):
        told = assessed(words={"b5:00.0": word}, findings=[finding])
        for left_out in codes:
            rest = [code for code in codes if code != left_out]
            with pytest.raises(ProfileError) as refused:
                assign(told, wanted("vm0=b5:00.0"), application(), accept=rest)
            assert (refused.value.hint or "").endswith(f": --accept {left_out}")
        assert assign(told, wanted("vm0=b5:00.0"), application(), accept=codes).grants


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"pci_devices": ({"name": "e", "bus": 0x17, "dev": 0, "fun": 0, "irq": "i", "memory": ()},)}, "C12"),
        (
            {
                "vm_irqs": (
                    {"name": "i", "ioapic": 0, "source": 16, "level_trig": 0, "active_low": 1, "dest": 5},
                )
            },
            "C4",
        ),
        ({"vm_ioports": ({"start": 0x7000, "end": 0x8000, "pci_device": 0, "name": "e"},)}, "C29"),
        (
            {
                "pci_devices": (
                    {
                        "name": "e",
                        "bus": 1,
                        "dev": 0,
                        "fun": 0,
                        "irq": "i",
                        "memory": ({"paddr": 0xC5E0F000, "size": 0x1000, "page_bits": 12},),
                    },
                )
            },
            "C24",
        ),
    ],
)
def test_what_another_vm_has_already_is_refused_with_its_place(
    settings: dict[str, object], says: str
) -> None:
    app = application(settings={f"vm1.{key}": value for key, value in settings.items()})  # type: ignore[misc]
    with pytest.raises(ProfileError, match=says) as told:
        assign(assessed(), wanted("vm0=17:00.0"), app)
    assert "vm1 (zmq.camkes:20" in told.value.message


@pytest.mark.parametrize(
    ("bar", "says"),
    [
        (Bar(0, "mem", 0xFFFF8000, 0x10000), "C21"),
        (Bar(0, "mem", 0x38C000000000, 0x8000, 64), "below 4 GiB.*C21"),
        (Bar(0, "mem", 0xC0000800, 0x800), "C23"),
        (Bar(0, "mem", 0xC0000000, 0x3000), "C20"),
        (Bar(0, "mem", None, 0x4000), "needs an address.*C21"),
        (Bar(0, "mem", 0xC0000000), "size of 03:00.0 BAR 0 was not observed"),
        (Bar(0, "io", 0xFFF0, 0x20), "C31"),
        (Bar(0, "io", 0x3F8, 8), "C30"),
    ],
)
def test_bars_that_no_vm_can_have_are_refused(bar: Bar, says: str) -> None:
    machine = Machine((function("03:00.0", bars=(bar,)),))
    with pytest.raises(ProfileError, match=says):
        assign(judged(machine), wanted("vm0=03:00.0"), application())


def test_an_unknown_pin_or_unseen_bars_are_refused() -> None:
    with pytest.raises(ProfileError, match="at which IOAPIC pin"):
        assign(assessed(pins={}), wanted("vm0=17:00.0"), application())
    with pytest.raises(ProfileError, match="were not observed"):
        assign(
            assessed(Machine((function("03:00.0"),)), {"03:00.0": (18, "known")}),
            wanted("vm0=03:00.0"),
            application(),
        )


@given(st.data())
def test_what_is_given_out_is_unique_whatever_is_assigned(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 6))
    functions, pins = [], {}
    for number in range(count):
        bdf = f"{0x10 + number:02x}:00.0"
        functions.append(
            i350(bdf, 0xC0000000 + number * 0x200000, 0x5000 + number * 32, 0xD0000000 + number * 0x4000)
        )
        pins[bdf] = (16 + data.draw(st.integers(0, 7)), "known")
    names = [f"vm{n}" for n in range(3)]
    asked = wanted(*(f"{data.draw(st.sampled_from(names))}={f.bdf}" for f in functions))
    try:
        passthrough = assign(assessed(Machine(tuple(functions)), pins), asked, application())  # type: ignore[arg-type]
    except ProfileError as refused:
        assert "C4" in refused.message
        return
    irqs = {(g.vm, g.irq): (g.line, g.dest) for g in passthrough.grants}
    assert len({line for line, _ in irqs.values()}) == len({dest for _, dest in irqs.values()}) == len(irqs)
    assert len(set(passthrough.domains.values())) == len(passthrough.vms)
    assert {(g.vm, g.bdf) for g in passthrough.grants} == {(w.vm, Bdf.parse(w.device)) for w in asked}
