"""What a guest's tools print, busybox' and others', as it is read."""

from __future__ import annotations

import pytest

from bringup.verify.vms.inside import (
    Measured,
    count_commands,
    grown,
    private_of,
    read_interrupts,
    read_iperf3,
    read_ping,
)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("5 packets transmitted, 4 packets received, 20% packet loss", (5, 4)),
        ("5 packets transmitted, 5 received, 0% packet loss, time 4005ms", (5, 5)),
        ("5 packets transmitted, 0 received, +5 errors, 100% packet loss, time 4063ms", (5, 0)),
        ("ping: bad address 'x'", None),
    ],
)
def test_answers_of_ping_are_counted(line: str, told: tuple[int, int] | None) -> None:
    assert read_ping(["--- 10.0.1.10 ping statistics ---", line]) == told


def test_interrupts_of_all_processors_are_one_count() -> None:
    lines = [" 10:        143          7    XT-PIC      eth1", "  5:          0    XT-PIC      2nd"]
    assert read_interrupts(lines) == {10: 150, 5: 0}


def test_the_rate_is_that_of_the_receivers_line() -> None:
    lines = [
        "[  5]   0.00-5.00   sec  94.0 MBytes   158 Mbits/sec    3             sender",
        "[  5]   0.00-5.04   sec  90.1 MBytes   150 Mbits/sec                  receiver",
    ]
    assert read_iperf3(lines) == Measured(150.0, 5.04)
    assert read_iperf3(lines[:1]) is None


def test_a_counter_of_32_bits_begins_again() -> None:
    assert grown(5, 25) == 20
    assert grown((1 << 32) - 4, 6) == 10


@pytest.mark.parametrize(
    ("far", "private"),
    [
        ("10.0.2.10", "10.0.0.0/8"),
        ("172.16.2.10", "172.16.2.10"),
        ("192.168.7.9", "192.168.7.9"),
        ("pc", "pc"),
    ],
)
def test_clear_text_for_the_other_lan_is_counted_whatever_its_addresses(far: str, private: str) -> None:
    added = count_commands("eth1", 51820, private_of(far), "-I")
    # Inserted from the last to the first, so that the first is first.
    assert added == (
        "iptables -t mangle -I POSTROUTING -o eth1",
        "iptables -t mangle -I POSTROUTING -o eth1 -p udp --dport 51820",
        f"iptables -t mangle -I POSTROUTING -o eth1 -d {private}",
    )
    taken = count_commands("eth1", 51820, private_of(far), "-D")
    assert [each.replace("-D", "-I") for each in taken] == list(reversed(added))
