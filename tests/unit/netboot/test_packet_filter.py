"""Filters of the kernel's: asked of the kernel, on loopback."""

from __future__ import annotations

import socket

import pytest

from bringup.netboot.packet_filter import attach, dhcp_of_interest, from_boards

MACS = [f"52:54:00:0e:40:{number:02x}" for number in range(64)]


def test_what_this_host_sends_itself_is_let_through() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(60)
        attach(listener, from_boards(MACS))
        sender.sendto(b"x" * 1000, listener.getsockname())
        assert listener.recv(2000) == b"x" * 1000


def test_others_are_not_heard() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(0.2)
        attach(listener, [*from_boards(MACS)[: 5 * len(MACS)], (6, 0, 0, 0)])  # without this host
        sender.sendto(b"x", listener.getsockname())
        with pytest.raises(TimeoutError):
            listener.recv(2000)
        attach(listener, from_boards([]))  # a filter is replaced, not added
        sender.sendto(b"y", listener.getsockname())
        assert listener.recv(2000) == b"y"


def test_the_kernel_takes_the_filters_of_many_boards() -> None:
    many = [f"52:54:00:0e:{high:02x}:{low:02x}" for high in range(4) for low in range(64)]
    for instructions in (from_boards(many), dhcp_of_interest(many)):
        assert len(instructions) < 4096  # BPF_MAXINSNS
