"""Ports that a network boot needs, and who has them."""

from __future__ import annotations

from bringup.jobs.doctor.check import Result, examine
from bringup.jobs.doctor.ports import port_checks
from bringup.lab.network import Network
from bringup.netboot.listeners import Listener

EVERYWHERE = "0.0.0.0"  # noqa: S104  # what is read, not what is bound
OWN = Network("enp3s0", "own-segment", "192.168.77.1/24", "192.168.77.30")
LAN = Network("enp3s0", "proxy", "192.168.77.1/24", None, http_port=8080)


def found(network: Network, *has: Listener) -> dict[str, Result]:
    return {each.id: each.result for each in examine([port_checks(network, lambda: has)])}


def test_what_is_free_is_right() -> None:
    assert {name: each.status for name, each in found(OWN).items()} == {
        "ports-dhcp": "pass",
        "ports-tftp": "pass",
        "ports-http": "pass",
    }
    assert "ports-proxydhcp" in found(LAN)


def test_a_port_of_another_user_is_asked_for_by_root() -> None:
    taken = found(OWN, Listener("udp", EVERYWHERE, 67))["ports-dhcp"]
    assert taken.status == "fail" and taken.fix == "sudo ss -lnpu 'sport = :67'"
    assert "another user" in taken.message


def test_a_port_of_a_process_that_is_known_is_freed_by_its_end() -> None:
    taken = found(OWN, Listener("udp", "192.168.77.1", 69, None, "tftpd", 2**22 + 1))["ports-tftp"]
    assert taken.fix == f"kill {2**22 + 1}" and "tftpd" in taken.message


def test_another_interfaces_server_is_not_in_the_way() -> None:
    assert found(OWN, Listener("udp", EVERYWHERE, 67, "virbr0"))["ports-dhcp"].status == "pass"


def test_http_takes_another_port_unless_the_lab_file_names_one() -> None:
    assert found(OWN, Listener("tcp", "*", 80))["ports-http"].status == "pass"
    assert found(LAN, Listener("tcp", "*", 8080))["ports-http"].status == "fail"
