"""A listening socket, made here or in another network and handed over."""

from __future__ import annotations

import socket

import pytest

from bringup.base.errors import LabError
from bringup.netboot.listener import listen_for

# Runs a program as it is, as the prefix of a twin's network runs it elsewhere.
ELSEWHERE = ("env",)


@pytest.mark.parametrize("enter", [(), ELSEWHERE])
def test_who_is_let_in_can_connect(enter: tuple[str, ...]) -> None:
    with (
        listen_for("127.0.0.1", ["52:54:00:0e:30:10"], enter) as sock,
        socket.create_connection(sock.getsockname(), timeout=5) as near,
    ):
        far, _ = sock.accept()
        with far:
            near.sendall(b"order")
            assert far.recv(5) == b"order"


@pytest.mark.parametrize("enter", [(), ELSEWHERE])
def test_an_address_that_this_host_has_not(enter: tuple[str, ...]) -> None:
    with pytest.raises(LabError, match=r"192\.0\.2\.1"):
        listen_for("192.0.2.1", [], enter)


def test_a_network_that_is_gone() -> None:
    with pytest.raises(LabError, match="cannot listen in the board's network"):
        listen_for("127.0.0.1", [], ("/nonexistent/nsenter",))
