"""The table of the VM component's attributes: what is known, and that a slip of the pen is not."""

from __future__ import annotations

import pytest

from bringup.camkes.vms.attributes import OLD_ATTRIBUTES, VM_ATTRIBUTES, find_attribute, old_instance


def test_names_are_unique() -> None:
    names = [attribute.name for attribute in VM_ATTRIBUTES]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("name", "type_", "unit", "declared"),
    [
        ("vm_irqs", "list", "", False),
        ("guest_ram_mb", "int", "MiB", True),
        ("heap_size", "int", "bytes", False),
        ("kernel_cmdline", "string", "", True),
        ("pci_devices_iospace", "flag", "", False),
        ("simple_untyped24_pool", "int", "objects", False),
        ("sched_ctrl", "int", "core", False),
    ],
)
def test_known_attributes(name: str, type_: str, unit: str, declared: bool) -> None:
    found = find_attribute(name)
    assert found is not None
    assert (found.type, found.unit, found.declared) == (type_, unit, declared)


@pytest.mark.parametrize(
    "name", ["ether_1_send_shmem_size", "serial_getchar_attributes", "_stack_size", "fs_id"]
)
def test_attributes_of_interfaces(name: str) -> None:
    assert find_attribute(name) is not None


@pytest.mark.parametrize(
    "name",
    [
        "vm_irq",
        "pci_device",
        "pci_devices_iospce",
        "iospace_domian",
        "guest_ram",
        "heapsize",
        "untyped24_pool",
        "simple_untyped_pool",
        "vm_ioport",
        "kernel_cmd_line",
        "exclude_paddrs",
        "cnode_size_bit",
        "",
    ],
)
def test_misspelt_attributes(name: str) -> None:
    assert find_attribute(name) is None


def test_old_spellings_lead_to_attributes_of_today() -> None:
    assert all(find_attribute(today) for today in OLD_ATTRIBUTES.values())


@pytest.mark.parametrize(
    ("instance", "attribute", "vm"),
    [
        ("vm12_config", "ioports", "vm12"),
        ("vm12_config", "anything", "vm12"),
        ("red_config", "irqs", "red"),
        ("red_config", "anything", None),
        ("vm0", "irqs", None),
        ("_config", "irqs", None),
    ],
)
def test_an_old_instance_is_known_by_its_name_or_what_is_set_on_it(
    instance: str, attribute: str, vm: str | None
) -> None:
    assert old_instance(instance, attribute) == vm
