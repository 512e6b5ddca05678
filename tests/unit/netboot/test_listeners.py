"""Who listens, from what `ss` prints."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from bringup.netboot.listeners import Listener, listeners, read_listeners, serves_for_us, service_of

EVERYWHERE = "0.0.0.0"  # noqa: S104  # what is read, not what is bound
PRINTED = """\
udp UNCONN 0      0      0.0.0.0%virbr0:67   0.0.0.0:* users:(("dnsmasq",pid=1482,fd=3))
udp UNCONN 0      0      10.0.0.1:69         0.0.0.0:*
tcp LISTEN 0      128    [::]:80             [::]:*    users:(("nginx",pid=77,fd=6),("nginx",pid=78,fd=6))
tcp LISTEN 0      128    *:4011              *:*
"""


def test_each_line_is_a_listener() -> None:
    assert list(read_listeners(PRINTED)) == [
        Listener("udp", EVERYWHERE, 67, "virbr0", "dnsmasq", 1482),
        Listener("udp", "10.0.0.1", 69),
        Listener("tcp", "[::]", 80, None, "nginx", 77),
        Listener("tcp", "*", 4011),
    ]


def test_a_listener_takes_what_comes_to_it() -> None:
    bridge, one, every, star = read_listeners(PRINTED)
    assert bridge.takes("udp", "10.0.0.1", 67, "virbr0")
    assert not bridge.takes("udp", "10.0.0.1", 67, "enp3s0")
    assert one.takes("udp", "10.0.0.1", 69, "enp3s0") and not one.takes("udp", "10.0.0.2", 69, "enp3s0")
    assert every.takes("tcp", "10.0.0.1", 80, "enp3s0") and not every.takes("udp", "10.0.0.1", 80, "enp3s0")
    assert star.takes("tcp", "10.0.0.1", 4011, "enp3s0")


@given(st.text())
def test_no_text_is_too_odd(text: str) -> None:
    assert all(each.port >= 0 for each in read_listeners(text))


def test_this_process_is_found() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        (found,) = (each for each in listeners() if each.port == port)
    assert (found.pid, found.address) == (os.getpid(), "127.0.0.1")


def test_who_serves_for_us_is_told_by_its_command_line() -> None:
    assert not serves_for_us(os.getpid())
    words = [sys.executable, "-c", "print(flush=True); input()", "bringup.netboot.serve"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdin is not None
        process.stdout.readline()
        assert serves_for_us(process.pid)
        process.stdin.close()


def test_a_process_of_no_service_has_none() -> None:
    assert service_of(2**22 + 1) is None
