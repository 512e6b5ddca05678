"""The scripts that make a lab's namespaces, segments and cards; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bringup.vlab.description import Description, Node

NODE_VARIABLE = "BRINGUP_VLAB_NODE"
SWITCH = "switch"
"""The name of the namespace that holds the segments, each a bridge."""


def hold_script(nodes: Sequence[str], *, tied: bool) -> str:
    """Return what the first process of a lab runs: one namespace a node, held until this process ends.

    `tied`: it ends when its stdin does, which is when whoever started it has ended.
    """
    # Sockets of wireguard-go and settings are looked up below /run and /etc: each node has its own.
    inside = (
        'hostname "$BRINGUP_VLAB_NODE" && mount -t tmpfs tmpfs /run && mkdir -p /run/wireguard /run/lock && '
        "exec sleep infinity"
    )
    lines = ["set -e", "mount -t tmpfs tmpfs /run", "ip link set lo up"]
    for node in nodes:
        quiet = "</dev/null >/dev/null 2>&1"
        lines.append(f"{NODE_VARIABLE}={node} unshare --mount --net --uts -- sh -c '{inside}' {quiet} &")
    lines.append("exec cat >/dev/null" if tied else "exec sleep infinity </dev/null >/dev/null 2>&1")
    return "\n".join(lines)


def bridge(segment: str) -> str:
    """Return the name of a segment's bridge: interface names end at 15 characters."""
    return f"seg-{segment}"


def port(node: str, card: str) -> str:
    """Return the name of the far end of a card, which is a port of its segment's bridge."""
    return f"p-{node}-{card[-1]}"


def wire_script(description: Description, holders: Mapping[str, int]) -> str:
    """Return what is run where the bridges are: segments, and a card in each node (`holders`: their pids).

    A node without a holder is a guest, and gets taps.
    """
    lines = ["set -e"]
    for segment in description.segments:
        name = bridge(segment)
        lines += [
            # Without IPv6 of its own and without snooping a bridge adds no frame to what is captured.
            f"ip link add {name} type bridge mcast_snooping 0 stp_state 0 forward_delay 0",
            f"echo 1 > /proc/sys/net/ipv6/conf/{name}/disable_ipv6",
            f"ip link set {name} up",
        ]
    for node in description.nodes():
        for link in node.links:
            far = port(node.name, link.name)
            lines += [
                f"ip link add {far} type veth peer name {link.name} netns {holders[node.name]}"
                if node.name in holders
                else f"ip tuntap add {far} mode tap",
                f"echo 1 > /proc/sys/net/ipv6/conf/{far}/disable_ipv6",
                f"ip link set {far} master {bridge(link.segment)} up",
            ]
    return "\n".join(lines)


def furnish_script(description: Description, node: Node) -> str:
    """Return what is run in a node first: its cards with addresses, and no route beyond its segments."""
    lines = ["set -e", "ip link set lo up"]
    for link in node.links:
        lines += [
            # Checksums and segments as a real card sends them: captures and replays are then what they seem.
            f"ethtool -K {link.name} tx off tso off gso off >/dev/null 2>&1 || true",
            f"ip address add {link.with_prefix} dev {link.name}",
            f"ip link set {link.name} up",
        ]
    if node.role == "internet":
        lines += [
            f"ip address add {description.outer.web}/32 dev lo",
            "echo 1 > /proc/sys/net/ipv4/ip_forward",
        ]
    if node.role == "pc":
        resolvers = description.sites[node.site].resolvers
        lines += [f"echo nameserver {each} >> /run/resolv.conf" for each in resolvers]
        lines += ["[ ! -e /etc/resolv.conf ] || mount --bind /run/resolv.conf /etc/resolv.conf"]
    return "\n".join(lines)
