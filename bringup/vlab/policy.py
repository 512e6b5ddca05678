"""What each VM lets through, in three layers: data, from the description; pure.

Each layer alone keeps clear text inside: red sends the other LAN to crypto or nowhere, crypto forwards into
the tunnel or nowhere, black sends tunnel and Internet traffic and nothing with a private address. So that
removing one rule is found, every rule is apart and has a name, and a check of the plan that misses it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Literal

from bringup.vlab.description import Description, Node

Chain = Literal["forward", "input", "clamp", "arrive", "dnat", "masquerade"]
Verdict = Literal["accept", "drop", "dnat", "masquerade", "clamp"]

RFC1918 = tuple(IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
# Above every metric that wg-quick or a person uses: it counts only when the way into the tunnel is gone.
UNREACHABLE_METRIC = 4278198272


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: what it matches (None and empty: anything), what is done then, and its name."""

    name: str
    chain: Chain
    verdict: Verdict
    came_in: str | None = None
    goes_out: str | None = None
    source: IPv4Network | IPv4Address | None = None
    destinations: tuple[IPv4Network | IPv4Address, ...] = ()
    udp_port: int | None = None
    states: tuple[str, ...] = ()
    sources: tuple[IPv4Network, ...] = ()
    to: str = ""


def policy(description: Description, node: Node) -> tuple[Rule, ...]:
    """Return the rules of a node, in order; what no rule of FORWARD and INPUT accepts is dropped."""
    makers = {"vm0": _red, "vm1": _crypto, "vm2": _black}
    maker = makers.get(node.role)
    return () if maker is None else tuple(maker(description, node.site))


def _red(lab: Description, name: str) -> Iterator[Rule]:
    site, peer = lab.sites[name], lab.peer(name)
    lan, there = site.lan, (peer.lan,)
    yield Rule("replies", "forward", "accept", came_in="eth0", goes_out="eth1", states=("established",))
    # What crypto says of packets that do not fit.
    yield Rule("errors", "forward", "accept", came_in="eth0", goes_out="eth1", states=("related",))
    yield Rule(
        "lan-to-peer", "forward", "accept", came_in="eth1", goes_out="eth0", source=lan, destinations=there
    )
    yield Rule("private", "forward", "drop", came_in="eth1", destinations=RFC1918)
    yield Rule("lan-out", "forward", "accept", came_in="eth1", goes_out="eth0", source=lan)
    yield Rule(
        "peer-to-lan",
        "forward",
        "accept",
        came_in="eth0",
        goes_out="eth1",
        source=peer.lan,
        destinations=(lan,),
    )
    yield from _input()


def _crypto(lab: Description, name: str) -> Iterator[Rule]:
    lan, there = lab.sites[name].lan, lab.peer(name).lan
    yield Rule(
        "own-to-peer",
        "forward",
        "accept",
        came_in="eth0",
        goes_out="wg0",
        source=lan,
        destinations=(there,),
    )
    yield Rule(
        "peer-to-own",
        "forward",
        "accept",
        came_in="wg0",
        goes_out="eth0",
        source=there,
        destinations=(lan,),
    )
    yield from _input()
    yield Rule("listen", "input", "accept", came_in="eth0", udp_port=lab.tunnel.port)
    yield Rule("mss", "clamp", "clamp", goes_out="wg0")


def _black(lab: Description, name: str) -> Iterator[Rule]:
    site, tunnel = lab.sites[name], lab.tunnel
    private = tunnel.private
    answers = ("established", "related")
    yield Rule("hidden", "arrive", "drop", came_in="eth1", destinations=(*private, site.inner))
    yield Rule("private-out", "forward", "drop", goes_out="eth1", destinations=private)
    yield Rule("bogon", "forward", "drop", came_in="eth1", sources=(*private, site.inner))
    yield Rule(
        "tunnel-out",
        "forward",
        "accept",
        came_in="eth0",
        goes_out="eth1",
        source=site.crypto,
        udp_port=tunnel.port,
    )
    yield Rule("lan-out", "forward", "accept", came_in="eth0", goes_out="eth1", source=site.lan)
    yield Rule(
        "tunnel-in",
        "forward",
        "accept",
        came_in="eth1",
        goes_out="eth0",
        destinations=(site.crypto,),
        udp_port=tunnel.port,
        states=("dnat",),
    )
    yield Rule(
        "tunnel-replies",
        "forward",
        "accept",
        came_in="eth1",
        goes_out="eth0",
        destinations=(site.crypto,),
        states=answers,
    )
    yield Rule(
        "lan-replies",
        "forward",
        "accept",
        came_in="eth1",
        goes_out="eth0",
        destinations=(site.lan,),
        states=answers,
    )
    yield from _input()
    yield Rule(
        "dnat",
        "dnat",
        "dnat",
        came_in="eth1",
        destinations=(site.outer,),
        udp_port=tunnel.port,
        to=f"{site.crypto}:{tunnel.port}",
    )
    yield Rule("tunnel-nat", "masquerade", "masquerade", goes_out="eth1", source=site.crypto)
    yield Rule("lan-nat", "masquerade", "masquerade", goes_out="eth1", source=site.lan)


def _input() -> Iterator[Rule]:
    yield Rule("local", "input", "accept", came_in="lo")
    yield Rule("answers", "input", "accept", states=("established", "related"))


def routes(description: Description, node: Node) -> tuple[tuple[str, str], ...]:
    """Return (name, arguments of `ip route replace`) of a node; the tunnel's own route comes with it."""
    outer = description.outer
    if node.role == "internet":
        return ()
    if node.role == "attacker":
        return (("default", f"default via {outer.router} dev eth0"),)
    site, peer = description.sites[node.site], description.peer(node.site)
    fallback = ("fallback", f"unreachable {peer.lan} metric {UNREACHABLE_METRIC}")
    by_role = {
        "pc": (("default", f"default via {site.gateway} dev eth0"),),
        "vm0": (
            ("default", f"default via {site.black} dev eth0"),
            ("peer", f"{peer.lan} via {site.crypto} dev eth0"),
            fallback,
        ),
        "vm1": (
            ("default", f"default via {site.black} dev eth0"),
            ("lan", f"{site.lan} via {site.red} dev eth0"),
            fallback,
        ),
        "vm2": (
            ("default", f"default via {outer.router} dev eth1"),
            ("lan", f"{site.lan} via {site.red} dev eth0"),
        ),
    }
    return by_role[node.role]


def settings(node: Node) -> tuple[tuple[str, str, int], ...]:
    """Return (name, path below /proc/sys/net, value) of a node that forwards.

    Redirects are sent where `all` or the interface says so, reverse paths are checked by the larger of the
    two (kernel: Documentation/networking/ip-sysctl.rst), so `all` and `default` are both set.
    """
    if node.role not in {"vm0", "vm1", "vm2"}:
        return ()
    every = ("all", "default", *(link.name for link in node.links))
    return (
        ("forwarding", "ipv4/ip_forward", 1),
        *(("redirects", f"ipv4/conf/{each}/send_redirects", 0) for each in every),
        *(("reverse-path", f"ipv4/conf/{each}/rp_filter", 1) for each in every),
    )
