"""DHCP by dnsmasq: its configuration from the policy, its log lines as events (pure).

What dnsmasq does for each kind of client was measured on the wire with 2.90; the tests ask the real program.
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from bringup.base.events import Event
from bringup.netboot import policy
from bringup.netboot.spec import Segment, ServeSpec

# Names of dnsmasq for option 93: it took them from RFC 4578 before the erratum that exchanges 7 and 9.
_SERVICES = {0: "x86PC", 7: "x86-64_EFI", 9: "BC_EFI"}
_REMEMBERED_MAX = 256
_LINE_MAX = 1024

_ALWAYS = """\
port=0
except-interface=lo
bind-interfaces
leasefile-ro
log-dhcp
log-facility=-
dhcp-ignore=tag:!dut
dhcp-match=set:ipxe,175
dhcp-userclass=set:ipxe,iPXE
"""
# Nobody routes on an own segment, and names are not resolved. iPXE need not wait for offers of a proxy
# (ipxe.org/howto/dhcpd, option no-pxedhcp).
_OWN_SEGMENT = """\
dhcp-authoritative
dhcp-option=3
dhcp-option=6
dhcp-option=encap:175,176,1b
"""


def dnsmasq_config(specs: Sequence[ServeSpec]) -> str:
    """Return the configuration file for all boots of one interface, which are of one mode (pure).

    Only the hosts listed are answered, each with the files of its own boot.
    """
    lines = [*_ALWAYS.splitlines()]
    for spec in specs:
        lines += _board_lines(spec)
    # What boards have in common is said once.
    return "\n".join(dict.fromkeys(lines)) + "\n"


def _board_lines(spec: ServeSpec) -> list[str]:
    segment, architectures = spec.segment, policy.ARCHITECTURES[spec.route.firmware]
    tag = "b" + segment.macs[0].replace(":", "")
    host = [*segment.macs, *([segment.board_address] if segment.board_address else [])]
    lines = [
        f"interface={segment.interface}",
        f"dhcp-host={','.join(host)},set:dut,set:{tag}",
        *(f"dhcp-match=set:arch{arch},option:client-arch,{arch}" for arch in architectures),
    ]
    network = segment.addresses
    if segment.own_segment:
        lines += [f"dhcp-range={network.network_address},static,{network.netmask},10m"]
        lines += _OWN_SEGMENT.splitlines()
    else:
        lines += [f"dhcp-range={network.network_address},proxy,{network.netmask}"]
        # An offer without a file would look like a hang on the board.
        lines += [",".join([f"dhcp-ignore=tag:{tag}", *(f"tag:!arch{arch}" for arch in architectures)])]
    for rule, arch in product(policy.rules(spec), architectures):
        tags = f"tag:{tag},tag:arch{arch},tag:{'' if rule.ipxe else '!'}ipxe"
        lines.append(_answer_line(segment, rule, tags, _SERVICES[arch]))
    return lines


def _answer_line(segment: Segment, rule: policy.AnswerRule, tags: str, service: str) -> str:
    if segment.own_segment:
        return f"dhcp-boot={tags},{rule.file}"
    if rule.ipxe:
        # With this server's address, or iPXE would look for a plain name on the segment's own server.
        return f"dhcp-boot={tags},{rule.file},,{segment.server_ip}"
    return f'pxe-service={tags},{service},"bringup",{rule.file}'


# On stderr dnsmasq writes the time first, as a syslog file has it.
_PREFIX = re.compile(r"(?:[A-Z][a-z]{2} [ \d]\d [\d:]{8} )?dnsmasq(?:-dhcp)?(?:\[\d+\])?: ")
_NUMBERED = re.compile(r"(?P<xid>\d{1,10}) (?P<text>.*)")
_MESSAGE = re.compile(
    r"(?P<name>DHCP[A-Z]+|PXE)\(\S+\) (?:(?P<address>\d{1,3}(?:\.\d{1,3}){3}) )?"
    r"(?P<mac>[0-9a-f]{2}(?::[0-9a-f]{2}){5})(?: (?P<rest>.*))?"
)
_ARCH = re.compile(r"(?:PXE|HTTP)Client:Arch:(\d{5})")
_FILE = re.compile(r"bootfile name: (.+)|sent size: *\d+ option: *67 bootfile-name +(.+)")
_MESSAGE_TYPE = re.compile(r"sent size: *\d+ option: *53 message-type +(\d+)")
_TYPE_ACK = 5


def log_text(line: str) -> str:
    """Return a line of dnsmasq's log without time, program name and process number."""
    match = _PREFIX.match(line)
    return line[match.end() :] if match else line


@dataclass(slots=True)
class _Transaction:
    """What dnsmasq has logged of one DHCP transaction so far."""

    vendor_class: str | None = None
    user_class: str | None = None

    @property
    def arch(self) -> int | None:
        match = _ARCH.match(self.vendor_class or "")
        return int(match[1]) if match else None


@dataclass(slots=True)
class _Answer:
    """An answer whose lines are still coming: an ACK of this server, or a packet of the proxy."""

    proxy: bool
    mac: str
    address: str | None
    asked: _Transaction
    at_s: float
    file: str | None = None
    message_type: int | None = None

    def complete_with(self, text: str) -> bool:
        """Take one of the lines that follow; returns whether the answer is complete now."""
        if file := _FILE.fullmatch(text):
            self.file = file[1] or file[2]
            return self.message_type is not None
        if self.message_type is None and (kind := _MESSAGE_TYPE.fullmatch(text)):
            # The proxy names the file, if any, before it lists the options.
            self.message_type = int(kind[1])
            return True
        return False

    def events(self) -> list[Event]:
        """Return what the whole answer tells."""
        if not self.proxy:
            text = f"{self.mac} is given {self.address}"
            return [self._event("dhcp.ack", text, address=self.address, file=self.file)]
        events = []
        if self.message_type != _TYPE_ACK:
            events = [
                _asks(self.mac, self.asked, self.at_s),
                self._event("dhcp.offer", f"{self.mac} is offered a boot file", address=None),
            ]
        if self.file is not None:
            events.append(self._event("dhcp.reply", f"{self.mac} is told {self.file}", file=self.file))
        return events

    def _event(self, kind: str, text: str, **data: Any) -> Event:
        return Event("dhcp", kind, text, {"mac": self.mac, **data}, self.at_s)


class LogReader:
    """Turns the lines that dnsmasq writes with `log-dhcp` into events; foreign lines are ignored.

    dnsmasq describes one packet over several lines with the same transaction number: the classes before the
    message's name, the file that an answer carries after it. An answer is therefore held back until its file
    is known, the next packet begins, or `flush()` says that nothing more comes.
    """

    def __init__(self) -> None:
        self._transactions: OrderedDict[str, _Transaction] = OrderedDict()
        self._ignored: OrderedDict[tuple[str, int | None], None] = OrderedDict()
        self._held: _Answer | None = None

    @property
    def holds_event(self) -> bool:
        """Return whether an answer waits for the rest of its lines."""
        return self._held is not None

    def feed(self, line: str) -> list[Event]:
        """Return what this line tells."""
        match = _NUMBERED.fullmatch(log_text(line[:_LINE_MAX]))
        if match is None:
            return []
        text = match["text"]
        transaction = self._transaction(match["xid"])
        if text.startswith("vendor class: "):
            transaction.vendor_class = text.partition(": ")[2]
        elif text.startswith("user class: "):
            transaction.user_class = text.partition(": ")[2]
        elif message := _MESSAGE.fullmatch(text):
            return [*self.flush(), *self._message(transaction, message)]
        elif self._held is not None and self._held.complete_with(text):
            return self.flush()
        return []

    def flush(self) -> list[Event]:
        """Return the answer that was held back, if any."""
        held, self._held = self._held, None
        return [] if held is None else held.events()

    def _transaction(self, xid: str) -> _Transaction:
        found = self._transactions.setdefault(xid, _Transaction())
        self._transactions.move_to_end(xid)
        if len(self._transactions) > _REMEMBERED_MAX:
            self._transactions.popitem(last=False)
        return found

    def _message(self, transaction: _Transaction, message: re.Match[str]) -> list[Event]:
        name, mac, address = message["name"], message["mac"], message["address"]
        rest = (message["rest"] or "").strip()
        now_s = time.monotonic()
        if rest.endswith("ignored"):
            return self._ignored_event(mac, transaction.arch)
        if name == "DHCPDISCOVER":
            return [_asks(mac, transaction, now_s)]
        if name == "DHCPOFFER":
            data = {"mac": mac, "address": address}
            return [Event("dhcp", "dhcp.offer", f"{mac} is offered {address}", data, now_s)]
        if name == "DHCPREQUEST":
            return [Event("dhcp", "dhcp.request", f"{mac} requests its address", {"mac": mac}, now_s)]
        if name == "DHCPACK":
            self._held = _Answer(False, mac, address, transaction, now_s, message_type=_TYPE_ACK)
        elif name == "PXE":
            # "proxy" is said of DISCOVER and of port 4011 alike; with an address it answers a chosen item.
            item = _TYPE_ACK if address else None
            self._held = _Answer(True, mac, address, transaction, now_s, message_type=item)
        return []

    def _ignored_event(self, mac: str, arch: int | None) -> list[Event]:
        # A shared LAN is full of machines that are none of this boot's: each is worth one event.
        if (mac, arch) in self._ignored:
            return []
        self._ignored[(mac, arch)] = None
        if len(self._ignored) > _REMEMBERED_MAX:
            self._ignored.popitem(last=False)
        return [Event("dhcp", "dhcp.ignored", f"{mac} asks and is not answered", {"mac": mac, "arch": arch})]


def _asks(mac: str, asked: _Transaction, at_s: float) -> Event:
    firmware = next((fw for fw, arches in policy.ARCHITECTURES.items() if asked.arch in arches), None)
    text = f"{mac} asks as {firmware.upper()} client" if firmware else f"{mac} asks for an address"
    data = {
        "mac": mac,
        "arch": asked.arch,
        "vendor_class": asked.vendor_class,
        "user_class": asked.user_class,
    }
    return Event("dhcp", "dhcp.discover", text, data, at_s)
