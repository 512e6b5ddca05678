"""VMs by the names that the build's capDL file gives them."""

from __future__ import annotations

from pathlib import Path

from bringup.transcript.streams import Demultiplexer, Writer
from bringup.transcript.vms import VmNames, find_vm_names, read_vm_names


def cdl(vmms: dict[str, int], guests: dict[str, int], raw: str = "serial_guest_vm0_ep") -> str:
    """A specification in the words of capDL-tool, with more in it than is looked for."""
    text = f"arch x86_64\n\nobjects {{\nserial_vm0_ep = ep\n{raw} = ep\nvm0_cnode = cnode (21 bits)\n}}\n"
    text += f"\ncaps {{\nserial_cnode {{\n0x1: serial_vm0_ep (RW)\n0x2: {raw} (RW)\n"
    text += "0x3: serial_fault_ep (RWP, badge: 1)\n}\n"
    for name, badge in vmms.items():
        text += f"{name}_cnode {{\n0x2: {name}_fault_ep (RWP, badge: 1)\n"
        text += f"0x8: serial_vm0_ep (WGP, badge: {badge})\n"
        if name in guests:
            text += f"0x9: {raw} (WGP, badge: 0x{guests[name]:x})\n0xa: frame_1 (RWX)\n"
        text += "}\n"
    return text + "}\n\nirq maps {\n\n}\n"


VMMS = {"pci_config": 1, "vm0": 5, "vm1": 3, "vm10": 2}
GUESTS = {"vm0": 1, "vm1": 2, "vm10": 3}


def test_badges_of_vmms_and_guests_are_paired() -> None:
    names = read_vm_names(cdl(VMMS, GUESTS).splitlines())
    assert names.vms == ("vm0", "vm1", "vm10")
    assert names.vmms == {5: "vm0", 3: "vm1", 2: "vm10"}
    assert names.guests == {1: "vm0", 2: "vm1", 3: "vm10"}


def test_endpoint_that_only_vms_call_is_the_guests() -> None:
    names = read_vm_names(cdl(VMMS, GUESTS, raw="conn7_ep").splitlines())
    assert names.guests == {1: "vm0", 2: "vm1", 3: "vm10"}


def test_colour_is_the_badge() -> None:
    names = VmNames(("vm0",), {5: "vm0"}, {1: "vm0"})
    text = b"\x1b[0m\x1b[36mVMM\r\n\x1b[0m\x1b[32;47mguest\r\n\x1b[0m\x1b[35mother\r\n"
    writers = [writer for writer, _ in Demultiplexer().feed(text)]
    assert [writer.badge for writer in writers] == [5, 1, 3]
    assert [names.of(writer) for writer in writers] == ["vm0", "vm0", None]
    assert names.of(Writer("plain")) is None


def test_what_is_no_such_system_has_no_names(tmp_path: Path) -> None:
    assert read_vm_names([]) == VmNames()
    assert read_vm_names(cdl({"a": 1, "b": 2}, {}).splitlines()).vms == ()
    assert find_vm_names(tmp_path) is None
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "app.cdl").write_bytes(b"\xff\x00 nothing\n" + cdl(VMMS, GUESTS).encode())
    found = find_vm_names(tmp_path)
    assert found is not None
    assert found.vms == ("vm0", "vm1", "vm10")
