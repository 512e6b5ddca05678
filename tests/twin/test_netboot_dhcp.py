"""The policy is what dnsmasq does: every kind of client asks the real server, whose answer is compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from bringup.base.firmware import Firmware
from bringup.netboot.policy import rules
from bringup.netboot.prepare import BootImage, LoadedFile, prepare
from bringup.netboot.spec import ServeSpec
from tests.twin.netboot_lab import BOARD_IP, MAC, STRANGER, DhcpClient, Heard, Lab, lab, segment, served

pytestmark = pytest.mark.slow

CLIENT_IP = "10.55.0.77"
OFFER, ACK, NAK = 2, 5, 6


@pytest.fixture(scope="module")
def made() -> Iterator[tuple[Lab, DhcpClient]]:
    with lab() as network:
        yield network, DhcpClient(network)


def spec_for(folder: Path, mode: str, firmware: Firmware, loader: str) -> ServeSpec:
    file = folder / "file"
    file.write_bytes(b"x")
    one = LoadedFile(file, 1)
    image = BootImage(one, (one,), "multiboot", True, True)
    return prepare(image, segment(mode), folder, firmware=firmware, loader=loader)


@dataclass(frozen=True)
class Client:
    """A machine that asks by DHCP: `arch` is option 93."""

    mac: str
    arch: int | None = None
    program: str | None = None
    ipxe: bool = False

    @property
    def request(self) -> dict[str, Any]:
        vendor = None if self.program is None else f"{self.program}:Arch:{self.arch:05}:UNDI:003000"
        wire = {"mac": self.mac, "arch": self.arch, "vendor_class": vendor, "ipxe": self.ipxe}
        return {**wire, "user_class": "iPXE" if self.ipxe else None}

    def is_due(self, spec: ServeSpec) -> tuple[str | None, str | None] | None:
        """Return the (address, file) that it should learn by the table of rules, or None for silence."""
        if self.mac not in spec.segment.macs:
            return None
        served = [rule for rule in rules(spec) if self.arch in rule.architectures and self.ipxe == rule.ipxe]
        file = served[0].file if served else None
        if spec.segment.own_segment:
            return BOARD_IP, file
        return None if file is None or self.program != "PXEClient" else (None, file)


def clients() -> Iterator[Client]:
    for arch, ipxe, mac in product((0, 6, 7, 9, 11), (False, True), (MAC, STRANGER)):
        yield Client(mac, arch, "PXEClient", ipxe)
    yield Client(MAC, 16, "HTTPClient")
    for mac in (MAC, STRANGER):
        yield Client(mac)  # an operating system


@pytest.mark.parametrize(
    ("mode", "firmware", "loader"),
    [
        ("own-segment", Firmware.BIOS, "ipxe"),
        ("own-segment", Firmware.UEFI, "grub"),
        ("proxy", Firmware.BIOS, "ipxe"),
        ("proxy", Firmware.BIOS, "grub"),
        ("proxy", Firmware.UEFI, "grub"),
    ],
)
def test_dnsmasq_does_what_the_policy_says(
    made: tuple[Lab, DhcpClient], tmp_path: Path, home: Path, mode: str, firmware: Firmware, loader: str
) -> None:
    network, client = made
    spec = spec_for(tmp_path, mode, firmware, loader)
    heard = Heard()
    with served(spec, heard, network.enter):
        asked = list(clients())
        requests = [{**one.request, "silent": one.is_due(spec) is None} for one in asked]
        offers = client.ask(*requests)
        later = client.ask(*map(_again, requests)) if mode == "proxy" else [None] * len(asked)
        for one, offer, again in zip(asked, offers, later, strict=True):
            said = _what_the_client_learns(one.request, mode, offer, again)
            assert said == one.is_due(spec), f"{one}"
        heard.wait("dhcp.ignored", mac=STRANGER)
    told = {(event.kind, event.data["mac"]) for event in heard.events if "mac" in event.data}
    assert not any(mac == STRANGER for kind, mac in told if kind != "dhcp.ignored")


def _again(wire: dict[str, Any]) -> dict[str, Any]:
    """Firmware asks a proxy again on port 4011, naming the first item of its menu (PXE 2.1 2.2.4)."""
    item = {} if wire.get("ipxe") else {"boot_item": 0x8000}
    return {**wire, **item, "type": 3, "port": 4011, "ciaddr": CLIENT_IP}


Reply = dict[str, Any] | None


def _what_the_client_learns(
    wire: dict[str, Any], mode: str, offer: Reply, again: Reply
) -> tuple[str | None, str | None] | None:
    """Return (address, file) as firmware would find them, or None for silence on all ports."""
    if offer is None:
        assert again is None
        return None
    assert offer["type"] == OFFER
    if mode == "own-segment":
        assert offer["siaddr"] == "10.55.0.1"
        return offer["yiaddr"], offer["file"]
    assert offer["yiaddr"] == "0.0.0.0" and offer["vendor_class"] == "PXEClient"  # noqa: S104
    assert again is not None and again["type"] == ACK
    assert offer["file"] in (None, again["file"])
    # iPXE takes what the offer says; a plain name needs this server's address beside it.
    if wire.get("ipxe"):
        assert offer["file"] is not None
        assert offer["file"].startswith("http:") or offer["siaddr"] == "10.55.0.1"
    return None, again["file"]


def test_an_unknown_lease_is_refused_not_ignored(
    made: tuple[Lab, DhcpClient], tmp_path: Path, home: Path
) -> None:
    # A board that remembers an address of another network asks for it first.
    network, client = made
    with served(spec_for(tmp_path, "own-segment", Firmware.BIOS, "auto"), Heard(), network.enter):
        stranger = {"type": 3, "arch": 0, "mac": STRANGER, "silent": True}
        reply, silence = client.ask({"type": 3, "arch": 0}, stranger)
        assert reply is not None and reply["type"] == NAK
        assert silence is None
