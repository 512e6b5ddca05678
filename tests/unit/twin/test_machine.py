"""The virtual board as QEMU arguments: what differs between firmware and boot orders, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from bringup.base.errors import LabError
from bringup.base.firmware import Firmware
from bringup.twin.client import request_of
from bringup.twin.devices import devices as known
from bringup.twin.devices import require_device
from bringup.twin.engines import TwinSetup
from bringup.twin.machine import BOOT_NIC, BootOrder, Variant, Wiring, qemu_arguments
from bringup.twin.network import namespace_refused, setup_script

WIRING = Wiring(9, 10, 11, 12, {"slot7f0": "tap0", "lan1": "tap4"})


def arguments(
    firmware: Firmware = Firmware.BIOS, *, network: bool = True, folder: str = "/run/t"
) -> list[str]:
    place = Path(folder)
    order = BootOrder(network)
    return qemu_arguments(firmware, order, WIRING, memory_mib=1024, folder=place, ovmf=Path("/c.fd"))


def devices(words: list[str]) -> list[str]:
    return [words[i + 1] for i, word in enumerate(words) if word == "-device"]


def test_only_the_boot_nic_moves_in_the_boot_order() -> None:
    with_network, without = arguments(network=True), arguments(network=False)
    different = [(a, b) for a, b in zip(with_network, without, strict=True) if a != b]
    assert len(different) == 1
    assert f"id={BOOT_NIC}" in different[0][0]
    assert "bootindex=1" in different[0][0]
    assert "bootindex=-1" in different[0][1]


def test_every_function_is_where_the_board_has_it() -> None:
    nics = [d for d in devices(arguments()) if "mac=" in d]
    places = [(d.split("bus=")[1].split(",")[0], d.split("addr=")[1].split(",")[0]) for d in nics]
    slot7 = [("rp16a", f"00.{f}") for f in range(4)]
    assert places == [*slot7, ("swdn3", "00.0"), ("swdn3", "00.1")]
    assert len({d.split("mac=")[1].split(",")[0] for d in nics}) == 6


def test_uefi_boots_a_nic_that_ovmf_has_a_driver_for() -> None:
    words = arguments(Firmware.UEFI)
    assert "if=pflash,unit=0,format=raw,readonly=on,file=/c.fd" in words
    boot = next(d for d in devices(words) if f"id={BOOT_NIC}" in d)
    assert boot.startswith("virtio-net-pci")


def test_a_comma_in_a_path_does_not_become_an_option() -> None:
    assert "name=etc/sercon-port,file=/run/a,,b/sercon-port" in arguments(folder="/run/a,b")


def test_setup_script_plugs_every_tap_into_the_bridge() -> None:
    script = setup_script(["tap0", "tap4"])
    assert script.startswith("set -e\n")
    for tap in ("tap0", "tap4"):
        assert f"ip tuntap add {tap} mode tap\nip link set {tap} master br0 up" in script


@pytest.mark.parametrize(
    ("reason", "word"),
    [("unshare: Operation not permitted", "sysctl"), ("open: /dev/net/tun: No such file", "/dev/net/tun")],
)
def test_refused_namespaces_say_what_to_do(reason: str, word: str) -> None:
    error = namespace_refused(reason)
    assert error.hint is not None
    assert word in error.hint
    assert error.exit_code == 10


def test_the_8_core_sibling_has_two_more_switch_ports_and_nothing_else_moved() -> None:
    common = {"memory_mib": 1024, "folder": Path("/run/t")}
    standard = qemu_arguments(Firmware.BIOS, BootOrder(True), WIRING, **common)  # type: ignore[arg-type]
    sibling = qemu_arguments(Firmware.BIOS, BootOrder(True), WIRING, variant="8c", **common)  # type: ignore[arg-type]
    more = [device for device in devices(sibling) if device not in devices(standard)]
    assert [device.split(",")[0] for device in more] == ["xio3130-downstream", "virtio-crypto-pci"] * 2
    assert [d.split("addr=")[1] for d in more if "addr=" in d] == ["00.0", "02.0"]
    assert [d for d in devices(sibling) if d not in more] == devices(standard)


def test_igb_is_two_ports_of_slot7_and_never_the_one_that_boots() -> None:
    def models(variant: Variant, firmware: Firmware) -> dict[str, str]:
        words = qemu_arguments(
            firmware,
            BootOrder(True),
            WIRING,
            memory_mib=1024,
            folder=Path("/run/t"),
            variant=variant,
            ovmf=Path("/c.fd"),
        )
        told = [device.split(",") for device in devices(words) if "netdev=" in device]
        return {
            each.removeprefix("id="): parts[0] for parts in told for each in parts if each.startswith("id=")
        }

    for firmware in (Firmware.BIOS, Firmware.UEFI):
        standard, other = models("standard", firmware), models("igb", firmware)
        changed = {name: model for name, model in other.items() if standard[name] != model}
        assert changed == dict.fromkeys(("slot7f1", "slot7f2"), "igb")


def test_a_device_that_qemu_has_not_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """QEMU is asked, not its version."""
    program = tmp_path / "qemu-system-x86_64"
    program.write_text("#!/bin/sh\necho 'Network devices:'\necho 'name \"e1000e\", bus PCI'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    known.cache_clear()
    try:
        require_device("e1000e", "the twin")
        with pytest.raises(LabError, match="the variant igb needs QEMU's device igb") as refused:
            request_of(TwinSetup("qemu"), "t", tied=False, variant="igb")
        assert "QEMU 8" in str(refused.value.hint)
    finally:
        known.cache_clear()


def test_variants_for_tests_change_nothing_else() -> None:
    def of(variant: Variant) -> list[str]:
        return qemu_arguments(
            Firmware.BIOS, BootOrder(True), WIRING, memory_mib=1024, folder=Path("/run/t"), variant=variant
        )

    standard, crowded = of("standard"), of("crowded")
    assert [word.replace(",acpi=off", "") for word in of("no-acpi")] == standard
    more = [device for device in devices(crowded) if device not in devices(standard)]
    assert len(more) > 280
    assert len(more) == len(set(more))
    assert [word for word in crowded if word not in more and word != "-device"] == [
        word for word in standard if word != "-device"
    ]
