"""Guests as nodes: their machines, their cards on the segments, and the line to their agent."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from bringup.base.errors import LabError
from bringup.base.local_socket import listen
from bringup.vlab.description import load_description
from bringup.vlab.guests import GuestImage, GuestLine, are_guests, guest_command, mac
from bringup.vlab.wiring import port, wire_script

LAB = load_description()
IMAGE = GuestImage(Path("/k"), Path("/r"))


def test_the_encryptors_vms_are_guests_and_nothing_else() -> None:
    names = {node.name for node in are_guests(LAB.nodes(), IMAGE)}
    assert names == {f"vm{number}-{site}" for number in range(3) for site in "ab"}
    assert are_guests(LAB.nodes(), None) == []


def test_cards_are_the_vmms_in_the_order_of_the_node_and_on_its_ports() -> None:
    node = LAB.node("vm2-b")
    words = guest_command(IMAGE, node, 7, 8, Path("/log"))
    cards = [word for word in words if word.startswith("virtio-net-pci")]
    assert len(cards) == len(node.links) == 2
    assert all("csum=off" in card and "mrg_rxbuf=off" in card for card in cards)
    places = [int(card.rpartition("addr=")[2], 16) for card in cards]
    assert places == sorted(places)
    taps = [word for word in words if word.startswith("tap,")]
    assert [port("vm2-b", link.name) in tap for link, tap in zip(node.links, taps, strict=True)] == [
        True,
        True,
    ]
    assert any("fd=7" in word for word in words) and any("fd=8" in word for word in words)


def test_hardware_addresses_are_local_and_differ() -> None:
    addresses = [
        mac(node, card) for node in are_guests(LAB.nodes(), IMAGE) for card in range(len(node.links))
    ]
    assert len(set(addresses)) == len(addresses) == 10
    assert all(int(address[:2], 16) & 3 == 2 for address in addresses)


def test_a_node_without_a_holder_gets_taps_and_the_others_their_cards() -> None:
    script = wire_script(LAB, {node.name: 1 for node in LAB.nodes() if node.name != "vm1-a"})
    assert "ip tuntap add p-vm1-a-0 mode tap" in script
    assert script.count("mode tap") == 1
    assert "p-vm1-a-0 master seg-inner-a up" in script


def test_an_agent_that_begins_again_is_no_answer(tmp_path: Path) -> None:
    listener = listen(tmp_path, "vm0-a.agent")

    def serve() -> None:
        line, _ = listener.accept()
        with line, line.makefile("r") as words:
            line.sendall(b'{"ready": true}\n')
            asked = json.loads(words.readline())
            line.sendall(
                b'{"ready": true}\n' + json.dumps({"ok": {"code": 0, "out": asked["script"]}}).encode()
            )
            line.sendall(b"\n")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    guest = GuestLine(tmp_path, "vm0-a")
    assert guest.run("true; date") == "true; date"
    thread.join(5)
    guest.close()
    listener.close()


def test_a_guest_that_is_gone_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="vm0-a does not run"):
        GuestLine(tmp_path, "vm0-a")
