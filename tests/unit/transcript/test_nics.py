"""What guests say of their network controllers."""

from __future__ import annotations

import pytest

from bringup.transcript.nics import NicReader, Nics, read_line
from bringup.transcript.stages import StageReader

CONFLICT = (
    "[ 2.4] pci 0000:00:01.0: can't claim BAR 0 [mem 0xb2100000-0xb21fffff]: "
    "address conflict with System RAM [mem 0x00100000-0xf9ffffff]"
)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("[ 1.0] igb 0000:00:02.0: added PHC on eth0", "bound"),
        ("[ 1.0] igb 0000:00:02.0 eth1: (PCIe:2.5Gb/s:Width x1) 00:11:22:33:44:55", "bound"),
        ("[ 2.0] igb 0000:00:02.0 eth1: igb: eth1 NIC Link is Up 1000 Mbps Full Duplex", "link-up"),
        ("[ 2.0] e1000e: eth1 NIC Link is Up 1000 Mbps Full Duplex, Flow Control: None", "link-up"),
        ("[ 2.0] i40e 0000:00:03.0 eth2: NIC Link is Up, 10 Gbps Full Duplex", "link-up"),
        ("[ 2.0] igb 0000:00:02.0 eth1: igb: eth1 NIC Link is Down", "link-down"),
        ("[ 5.1] igb 0000:00:01.0: can't ioremap BAR 0: [??? 0x00000000 flags 0x0]", "bar-unmapped"),
        ("[ 5.2] igb: probe of 0000:00:01.0 failed with error -5", "no-driver"),
        (CONFLICT, "bar-conflict"),
        ("[ 48.0] igb 0000:00:02.0 eth1: Hung TX queue", "no-interrupts"),
        ("[ 48.0] e1000e 0000:00:02.0 eth1: Detected Hardware Unit Hang: Tx Unit Hang", "no-interrupts"),
        ("[ 48.0] e1000e 0000:00:02.0 eth1: Detected Hardware Unit Hang:", "no-interrupts"),
        ("[ 5.1] igb 0000:00:01.0: Error -22 getting interrupt", "no-interrupts"),
        ("[ 5.0] igb 0000:00:01.0: can't derive routing for PCI INT A", "no-interrupts"),
        ("[ 48.0] igb 0000:00:02.0 eth1: NETDEV WATCHDOG: CPU: 0: transmit queue 0 timed out 5376 ms",
         "no-interrupts"),
        ("[ 5.2] igb 0000:00:01.0: probe with driver igb failed with error -5", "no-driver"),
        ("[ 0.6] pci 0000:00:01.0: BAR 0 [mem 0xb2100000-0xb21fffff]: can't claim; address conflict with "
         "System RAM [mem 0x00100000-0xf9ffffff]", "bar-conflict"),
        ("[ 5.1] igb 0000:00:01.0: PCIe link lost, device now detached", "gone"),
        ("[ 99.0] NETDEV WATCHDOG: eth1 (igb): transmit queue 0 timed out", "no-interrupts"),
        ("[ 30.5] irq 10: nobody cared (try booting with the \"irqpoll\" option)", "irq-dead"),
        (" 10:      1234    XT-PIC      eth1", "counting"),
        (" 10:         0    XT-PIC      eth1", "no-interrupts"),
        ("[ 3.0] IPv6: ADDRCONF(NETDEV_CHANGE): eth0: link becomes ready", "link-up"),
    ],
)  # fmt: skip
def test_a_line_is_understood(line: str, what: str) -> None:
    fact = read_line(line)
    assert fact is not None
    assert fact.what == what


@pytest.mark.parametrize(
    "line",
    [
        "[ 0.6] pci 0000:00:01.0: [1af4:1000] type 00 class 0x020000",
        "[ 1.5] virtio_net virtio0 eth0: registered",
        "[ 0.0] BIOS-e820: [mem 0x0000000000000500-0x000000000009fbff] usable",
        " 4:  77  XT-PIC  serial",
        "[ 0.6] pci 0000:00:01.0: can't claim BAR 0 [mem 0xf0000000-0xf00fffff]: no compatible bridge window",
    ],
)
def test_other_lines_say_nothing(line: str) -> None:
    assert read_line(line) is None


def told(*lines: str) -> Nics:
    nics, reader = Nics(), NicReader()
    for fact, _ in reader.feed("".join(f"{line}\r\n" for line in lines).encode()):
        nics.take("vm0", fact)
    return nics


def test_a_good_controller_in_one_line() -> None:
    (nic,) = told(
        "[ 1.0] igb 0000:00:02.0 eth1: (PCIe:2.5Gb/s:Width x1) 00:11:22:33:44:55",
        "[ 2.0] igb 0000:00:02.0 eth1: igb: eth1 NIC Link is Up 1000 Mbps Full Duplex",
        " 10:      1234    XT-PIC      eth1",
    )
    assert nic.label == "vm0 eth1 igb 0000:00:02.0"
    assert nic.words() == "driver bound, interrupts counting, link up 1000 Mbps Full Duplex"
    assert nic.advice() is None


def test_the_trouble_at_the_bottom_is_told() -> None:
    nics = told(
        CONFLICT,
        "[ 5.1] igb 0000:00:01.0: can't ioremap BAR 0: [??? 0x00000000 flags 0x0]",
        "[ 5.2] igb: probe of 0000:00:01.0 failed with error -5",
        "[ 6.0] igb 0000:00:02.0 eth1: igb: eth1 NIC Link is Up 1000 Mbps Full Duplex",
    )
    bad, good = nics
    assert (bad.trouble, len(bad.troubles)) == ("bar-conflict", 3)
    assert good.trouble is None
    assert nics.dead == [bad]


def test_a_link_of_a_virtio_port_makes_no_controller() -> None:
    assert list(told("[ 3.0] IPv6: ADDRCONF(NETDEV_CHANGE): eth0: link becomes ready")) == []


def test_only_guests_have_controllers() -> None:
    line = b"[ 5.1] igb 0000:00:01.0: can't ioremap BAR 0: [??? 0x00000000 flags 0x0]\r\n"
    bare = StageReader().feed(b"[ 0.0] Linux version 6.1\r\n" + line, 1.0)
    assert [s for s in bare if s.kind == "nic"] == []
    guest = StageReader().feed(b"Booting all finished, dropped to user space\r\n" + line, 1.0)
    assert [(s.marker, s.vm_name) for s in guest if s.kind == "nic"] == [("bar-unmapped", "guest 0")]
