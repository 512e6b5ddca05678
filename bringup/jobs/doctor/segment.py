"""The network that a board boots from: interface, link, address, spanning tree, other DHCP servers."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bringup.base.events import Event
from bringup.base.program import find_program, run_program
from bringup.jobs.doctor.check import Check, Group, Result, failed, passed, skipped
from bringup.jobs.doctor.root import as_root
from bringup.lab.network import Network
from bringup.netboot.neighbours import rivals
from bringup.netboot.scout import has_carrier
from bringup.netboot.spanning_tree import SpanningTree, heard_tree

_ANSWER_S = 5.0
_NET = Path("/sys/class/net")
# What answers DHCP on Linux, by the names of its processes.
_SERVERS = ("dnsmasq", "dhcpd", "kea-dhcp4", "udhcpd", "systemd-network", "pixiecore", "in.dhcpd")


@dataclass(frozen=True, slots=True)
class Segment:
    """How the checks look at a network; tests give others."""

    net: Path = _NET
    carrier: Callable[[str], bool | None] = has_carrier
    addresses: Callable[[str], tuple[str, ...]] | None = None
    rivals: Callable[[Network], tuple[Event, ...]] = rivals
    tree: Callable[[str], SpanningTree | None] = heard_tree
    owner: Callable[[str], int | None] | None = None


def segment_checks(board: str, network: Network, look: Segment | None = None) -> Group:
    """Return the checks of the network that `board` boots from."""
    look = look or Segment()
    checks = [
        Check("network-link", "link", functools.partial(_link, network, look)),
        Check("network-address", "address", functools.partial(_address, network, look)),
        Check("network-rival-dhcp", "other DHCP", functools.partial(_rivals, board, network, look)),
    ]
    return Group("network", checks)


def _link(network: Network, look: Segment) -> Result:
    name = network.interface
    if not (look.net / name).exists():
        others = ", ".join(sorted(path.name for path in look.net.iterdir() if path.name != "lo")) or "none"
        return failed(f"this host has no interface {name}; it has {others}", "ip -br link")
    if look.carrier(name):
        return passed(f"{name} is up and has a link")
    flags = int((look.net / name / "flags").read_text(encoding="ascii"), 16)
    if not flags & 1:  # IFF_UP, linux/if.h
        return failed(f"{name} is switched off", as_root(f"ip link set {name} up"))
    return failed(
        f"{name} has no link: no cable, or nothing that is on at its other end",
        f"ip -br link show {name}",
    )


def _address(network: Network, look: Segment) -> Result:
    if not (look.net / network.interface).exists():
        return skipped(f"there is no interface {network.interface}")
    have = (look.addresses or addresses_of)(network.interface)
    if network.server_ip in (each.partition("/")[0] for each in have):
        return passed(f"{network.interface} has {network.server_ip}")
    has = ", ".join(have) or "none"
    return failed(
        f"{network.interface} does not have {network.server_ip}, which the lab file says; it has {has}",
        as_root(f"ip address add {network.address} dev {network.interface}"),
    )


def addresses_of(interface: str) -> tuple[str, ...]:
    """Return the IPv4 addresses of an interface, each with its prefix length; raises LabError."""
    command = [find_program("ip") or "ip", "-4", "-o", "address", "show", "dev", interface]
    text = run_program(command, "iproute2", timeout_s=_ANSWER_S).decode(errors="replace")
    words = [line.split() for line in text.splitlines()]
    return tuple(each[each.index("inet") + 1] for each in words if "inet" in each[:-1])


def switch_checks(network: Network, look: Segment | None = None) -> Group:
    """Return the check of spanning tree, which takes as long as a bridge is silent between two words."""
    run = functools.partial(_spanning_tree, network, look or Segment())
    return Group("network", [Check("network-spanning-tree", "spanning tree", run)])


def _spanning_tree(network: Network, look: Segment) -> Result:
    """Judge this host's own bridge, and tell whether the next one speaks; the board's port is its own."""
    name, bridge = network.interface, _bridge(network, look)
    if bridge is not None:
        delay_s = _number(bridge / "bridge" / "forward_delay") / 100
        own = name if bridge.name == name else bridge.resolve().name
        if _number(bridge / "bridge" / "stp_state") and delay_s:
            return failed(
                f"the bridge {own} speaks spanning tree: a port forwards nothing for {2 * delay_s:.0f} s "
                "after its link-up, and a board's DHCP gives up before",
                as_root(f"ip link set {own} type bridge stp_state 0"),
            )
    if not look.carrier(name):
        return skipped(f"{name} has no link to listen on")
    try:
        heard = look.tree(name)
    except PermissionError:
        return skipped(f"this user may not listen on {name}", as_root("bringup doctor ..."))
    if heard is None:
        return passed("no bridge or switch speaks spanning tree here")
    wait_s = 2 * heard.forward_delay_s
    return passed(
        f"the switch speaks {heard.version}: unless the board's port is an edge port (portfast), it forwards "
        f"nothing for up to {wait_s:.0f} s after each link-up"
    )


def _bridge(network: Network, look: Segment) -> Path | None:
    """Return the bridge of this host that the network is, or is plugged into."""
    here = look.net / network.interface
    return next((path for path in (here, here / "brport" / "bridge") if (path / "bridge").is_dir()), None)


def _number(path: Path) -> int:
    return int(path.read_text(encoding="ascii"))


def _rivals(board: str, network: Network, look: Segment) -> Result:
    if not look.carrier(network.interface):
        return skipped(f"{network.interface} has no link to ask on")
    found = look.rivals(network)
    if not found:
        return passed(f"nobody else on {network.interface} stands in the way of a boot")
    server = str(found[0].data["server"])
    pid = (look.owner or server_process)(server)
    return failed(found[0].text, f"kill {pid}" if pid else _elsewhere(board, server, network))


def _elsewhere(board: str, server: str, network: Network) -> str:
    find = f"ip neigh show {server} dev {network.interface}  # whose it is: end its DHCP server there"
    if not network.own_segment:
        return find + ", or take its boot file away"
    return find + f', or give [boards.{board}.network] mode = "proxy"'


def server_process(address: str, proc: Path = Path("/proc")) -> int | None:
    """Return the process of this host that answers DHCP as `address`, in whatever namespace, if one does."""
    return next(_server_processes(address, proc), None)


def _server_processes(address: str, proc: Path) -> Iterator[int]:
    wanted = f"|-- {ipaddress.IPv4Address(address)}\n"
    for folder in sorted(proc.glob("[0-9]*"), key=lambda path: int(path.name)):
        try:
            if (folder / "comm").read_text(encoding="utf-8", errors="replace").strip() in _SERVERS and (
                wanted in (folder / "net" / "fib_trie").read_text(encoding="ascii", errors="replace")
            ):
                yield int(folder.name)
        except OSError:
            continue  # it ended, or is not ours to look into
