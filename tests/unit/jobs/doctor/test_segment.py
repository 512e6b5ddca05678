"""A board's network as this host sees it, on made-up hosts."""

from __future__ import annotations

from pathlib import Path

from bringup.base.events import Event
from bringup.jobs.doctor.check import Result, examine
from bringup.jobs.doctor.root import as_root
from bringup.jobs.doctor.segment import (
    Segment,
    addresses_of,
    segment_checks,
    server_process,
    switch_checks,
)
from bringup.lab.network import Network
from bringup.netboot.spanning_tree import SpanningTree

OWN = Network("br7", "own-segment", "192.168.77.1/24", "192.168.77.30")
LAN = Network("br7", "proxy", "192.168.77.1/24", None)
RIVAL = Event(
    "dhcp", "dhcp.rival", "another DHCP server, 192.168.77.9, gives an address", {"server": "192.168.77.9"}
)


def interface(net: Path, *, up: bool = True, stp: int | None = None, delay: int = 1500) -> Path:
    folder = net / "br7"
    folder.mkdir(parents=True)
    (folder / "flags").write_text("0x1003\n" if up else "0x1002\n")
    if stp is not None:
        (folder / "bridge").mkdir()
        (folder / "bridge" / "stp_state").write_text(f"{stp}\n")
        (folder / "bridge" / "forward_delay").write_text(f"{delay}\n")
    return net


def found(look: Segment, network: Network = OWN) -> dict[str, Result]:
    groups = [segment_checks("e300-1", network, look), switch_checks(network, look)]
    return {each.id.partition("-")[2]: each.result for each in examine(groups)}


def segment(
    net: Path,
    *rivals: Event,
    carrier: bool = True,
    has: tuple[str, ...] = ("192.168.77.1/24",),
    owner: int | None = None,
    tree: SpanningTree | None = None,
) -> Segment:
    return Segment(
        net,
        lambda _name: carrier,
        lambda _name: has,
        lambda _network: rivals,
        lambda _name: tree,
        lambda _ip: owner,
    )


def test_as_it_should_be(tmp_path: Path) -> None:
    results = found(segment(interface(tmp_path)))
    assert {each.status for each in results.values()} == {"pass"}
    assert "no bridge or switch" in results["spanning-tree"].message


def test_a_switch_that_speaks_tells_how_long_a_plain_port_waits(tmp_path: Path) -> None:
    told = found(segment(interface(tmp_path), tree=SpanningTree("RSTP", 15.0)))["spanning-tree"]
    assert (
        told.status == "pass"
        and "RSTP" in told.message
        and "30 s" in told.message
        and "portfast" in told.message
    )


def test_an_interface_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    (tmp_path / "enp9s0").mkdir()
    results = found(segment(tmp_path, carrier=False))
    assert results["link"].status == "fail" and "enp9s0" in results["link"].message
    assert results["link"].fix == "ip -br link"


def test_an_interface_that_is_off_is_switched_on(tmp_path: Path) -> None:
    results = found(segment(interface(tmp_path, up=False), carrier=False))
    assert results["link"].fix == as_root("ip link set br7 up")
    assert results["rival-dhcp"].status == "skip"


def test_a_cable_that_is_out(tmp_path: Path) -> None:
    assert "no link" in found(segment(interface(tmp_path), carrier=False))["link"].message


def test_an_address_that_the_interface_does_not_have(tmp_path: Path) -> None:
    wrong = found(segment(interface(tmp_path), has=("10.0.0.1/8",)))["address"]
    assert wrong.fix == as_root("ip address add 192.168.77.1/24 dev br7") and "10.0.0.1/8" in wrong.message


def test_a_bridge_that_speaks_spanning_tree_tells_its_delay(tmp_path: Path) -> None:
    wrong = found(segment(interface(tmp_path, stp=1)))["spanning-tree"]
    assert wrong.status == "fail" and "30 s" in wrong.message
    assert wrong.fix == as_root("ip link set br7 type bridge stp_state 0")


def test_a_bridge_without_spanning_tree_is_right(tmp_path: Path) -> None:
    assert found(segment(interface(tmp_path, stp=0)))["spanning-tree"].status == "pass"


def test_a_rival_of_this_host_is_ended_and_one_elsewhere_is_looked_for(tmp_path: Path) -> None:
    net = interface(tmp_path)
    here = found(segment(net, RIVAL, owner=4711))["rival-dhcp"]
    assert here.status == "fail" and here.fix == "kill 4711" and "192.168.77.9" in here.message
    there = found(segment(net, RIVAL))["rival-dhcp"].fix
    assert there is not None and there.startswith("ip neigh show 192.168.77.9 dev br7") and "proxy" in there
    lan = found(segment(net, RIVAL), LAN)["rival-dhcp"].fix
    assert lan is not None and "proxy" not in lan


def test_the_process_that_answers_is_found_by_the_address_of_its_network(tmp_path: Path) -> None:
    for pid, name, address in (
        (3, "dnsmasq", "10.0.0.9"),
        (20, "dnsmasq", "10.0.0.99"),
        (4, "sh", "10.0.0.99"),
    ):
        folder = tmp_path / str(pid)
        (folder / "net").mkdir(parents=True)
        (folder / "comm").write_text(f"{name}\n")
        (folder / "net" / "fib_trie").write_text(
            f"Local:\n        |-- {address}\n           /32 host LOCAL\n"
        )
    (tmp_path / "7").mkdir()
    assert server_process("10.0.0.99", tmp_path) == 20
    assert server_process("10.0.0.1", tmp_path) is None


def test_addresses_are_those_of_the_interface() -> None:
    assert "127.0.0.1/8" in addresses_of("lo")
