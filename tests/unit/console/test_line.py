"""A plain line: keys there and back, until Ctrl-], the end of the keys, or the end of the line."""

from __future__ import annotations

import os
import socket
import threading

from bringup.console.line import sit_at


def sat(typed: bytes, said: bytes, *, hang_up: bool) -> tuple[bytes, bytes]:
    """Return what the other end heard, and what the screen showed."""
    near, far = socket.socketpair()
    keys, type_here = os.pipe()
    shown, screen = os.pipe()
    os.write(type_here, typed)
    os.close(type_here)
    far.sendall(said)
    if hang_up:
        far.shutdown(socket.SHUT_WR)
    thread = threading.Thread(target=sit_at, args=(near, keys, screen))
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    near.close()
    heard = b"".join(iter(lambda: far.recv(1000), b""))
    os.close(screen)
    text = os.read(shown, 1000)
    for descriptor in (keys, shown):
        os.close(descriptor)
    far.close()
    return heard, text


def test_keys_arrive_and_what_is_said_is_shown_after_the_last_key() -> None:
    assert sat(b"uname\n", b"Linux\r\n", hang_up=False) == (b"uname\n", b"Linux\r\n")


def test_the_leaving_key_is_not_sent_nor_what_follows() -> None:
    heard, _ = sat(b"one\x1dtwo", b"", hang_up=False)
    assert heard == b"one"


def test_the_end_of_the_line_ends_it() -> None:
    assert sat(b"", b"bye", hang_up=True)[1] == b"bye"
