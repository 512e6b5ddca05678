"""Whose request it is: boards under boot told apart, and from strangers, by the ARP table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bringup.base.events import Event
from bringup.netboot.catalog import Catalog
from bringup.netboot.clients import Client, UnderBoot, mac_of

# proc_net_arp(5), as Linux 6.1 writes it.
ARP = """\
IP address       HW type     Flags       HW address            Mask     Device
10.55.0.30       0x1         0x2         52:54:00:0E:30:10     *        br0
10.55.0.77       0x1         0x2         52:54:00:00:00:99     *        br0
10.55.0.78       0x1         0x0         00:00:00:00:00:00     *        br0
10.55.0.40       0x1         0x2         52:54:00:0e:30:20     *        br0
"""


def board(mac: str, address: str | None = None, told: list[Event] | None = None) -> Client:
    return Client((mac,), address, Catalog([]), ([] if told is None else told).append)


def under_boot(*clients: Client) -> UnderBoot:
    made = UnderBoot(lambda: ARP)
    for client in clients:
        made.add(client)
    return made


@pytest.mark.parametrize(
    ("address", "stranger"),
    [
        ("10.55.0.30", False),
        ("10.55.0.77", True),
        ("10.55.0.78", False),
        ("127.0.0.1", False),
        ("10.55.0.3", False),
    ],
)
def test_strangers(address: str, stranger: bool) -> None:
    assert (under_boot(board("52:54:00:0e:30:10")).of(address) is None) is stranger


@pytest.mark.parametrize(
    ("address", "which"),
    [("10.55.0.30", 0), ("10.55.0.40", 1), ("10.55.0.77", None), ("10.55.0.78", 1), ("10.55.0.9", None)],
)
def test_two_boards(address: str, which: int | None) -> None:
    # An address that the table does not know is whose it was given to, and else nobody's.
    boards = board("52:54:00:0e:30:10", "10.55.0.30"), board("52:54:00:0e:30:20", "10.55.0.78")
    assert under_boot(*boards).of(address) is (None if which is None else boards[which])


def test_a_stranger_does_not_become_a_board_by_its_address() -> None:
    assert under_boot(board("52:54:00:0e:30:10", "10.55.0.77")).of("10.55.0.77") is None


def test_a_board_that_left_is_a_stranger() -> None:
    one, other = board("52:54:00:0e:30:10"), board("52:54:00:0e:30:20")
    made = under_boot(one, other)
    made.remove(one)
    made.remove(one)
    assert made.of("10.55.0.30") is None
    assert made.of("10.55.0.40") is other


def test_all_are_told() -> None:
    told: tuple[list[Event], list[Event]] = ([], [])
    event = Event("dhcp", "dhcp.ignored")
    under_boot(board("a", told=told[0]), board("b", told=told[1])).tell(event)
    assert told == ([event], [event])


@given(st.text(max_size=300))
def test_any_table_is_read(table: str) -> None:
    mac = mac_of("head\n" + table, "10.55.0.30")
    assert mac is None or mac in table.lower()
