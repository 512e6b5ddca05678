"""A node's settings, routes and rules as a shell script, for iptables or nftables; pure.

The iptables form needs filter, nat, mangle with TCPMSS and conntrack only, which small guest kernels have.
Every line that does one thing ends in `# NAME`, so that a person can take out exactly one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from bringup.vlab.description import Description, Node
from bringup.vlab.policy import Chain, Rule, policy, routes, settings

Backend = Literal["iptables", "nftables"]
BACKENDS: tuple[Backend, ...] = ("iptables", "nftables")

# chain -> (table, chain) of iptables
_IPTABLES: dict[Chain, tuple[str, str]] = {
    "forward": ("filter", "FORWARD"),
    "input": ("filter", "INPUT"),
    "clamp": ("mangle", "FORWARD"),
    "arrive": ("mangle", "PREROUTING"),
    "dnat": ("nat", "PREROUTING"),
    "masquerade": ("nat", "POSTROUTING"),
}
# chain -> (family, table and chain, hook with priority, policy) of nftables; inet holds IPv4 and IPv6. Names
# that are words of its language (fwd, dnat, masquerade) are refused as names of chains.
_NFTABLES: dict[Chain, tuple[str, str, str]] = {
    "forward": ("inet bringup forward", "type filter hook forward priority 0", "drop"),
    "input": ("inet bringup input", "type filter hook input priority 0", "drop"),
    "clamp": ("ip bringup clamp", "type filter hook forward priority -150", "accept"),
    "arrive": ("ip bringup arrive", "type filter hook prerouting priority -150", "accept"),
    # Kernels before 4.18 need both chains of nat where one is used.
    "dnat": ("ip bringup nat_in", "type nat hook prerouting priority -100", "accept"),
    "masquerade": ("ip bringup nat_out", "type nat hook postrouting priority 100", "accept"),
}
_NAT: set[Chain] = {"dnat", "masquerade"}
_IPV6_SHUT = """\
if command -v ip6tables >/dev/null 2>&1; then
    ip6tables -P FORWARD DROP # ipv6
    ip6tables -P INPUT DROP # ipv6-input
elif [ -e /proc/sys/net/ipv6/conf/all/disable_ipv6 ]; then
    echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6
fi"""


def node_script(description: Description, node: Node, backend: Backend) -> str:
    """Return the script that makes a node what the description says; it may be run again."""
    lines = [
        "#!/bin/sh",
        f"# {node.name}: settings, firewall ({backend}) and routes; made by `bringup vlab export`.",
        "# Firewall before routes: nothing is forwarded before it may be.",
        "set -e",
        *(f"echo {value} > /proc/sys/net/{path} # {name}" for name, path, value in settings(node)),
    ]
    rules = policy(description, node)
    if rules:
        lines += list(_iptables(rules) if backend == "iptables" else _nftables(rules))
    lines += [f"ip route replace {arguments} # {name}" for name, arguments in routes(description, node)]
    return "\n".join(lines) + "\n"


def _iptables(rules: tuple[Rule, ...]) -> Iterator[str]:
    # A table that is not needed stays away: address translation, where it is there, also acts on ICMP.
    used = {"filter", *(_IPTABLES[rule.chain][0] for rule in rules)}
    for table in sorted(used):
        yield f"iptables -t {table} -F"
    yield "iptables -P FORWARD DROP # policy"
    yield "iptables -P INPUT DROP # input-policy"
    yield from _IPV6_SHUT.splitlines()
    for rule in rules:
        table, chain = _IPTABLES[rule.chain]
        for source in rule.sources or (rule.source,):
            for destination in rule.destinations or (None,):
                words = [f"iptables -t {table} -A {chain}"]
                words += [f"-i {rule.came_in}"] if rule.came_in else []
                words += [f"-o {rule.goes_out}"] if rule.goes_out else []
                words += [f"-s {source}"] if source else []
                words += [f"-d {destination}"] if destination else []
                words += [f"-p udp --dport {rule.udp_port}"] if rule.udp_port else []
                words += [_iptables_states(rule.states)] if rule.states else []
                yield f"{' '.join(words)} {_iptables_verdict(rule)} # {rule.name}"


def _iptables_states(states: tuple[str, ...]) -> str:
    return f"-m conntrack --ctstate {','.join(states).upper()}"


def _iptables_verdict(rule: Rule) -> str:
    return {
        "accept": "-j ACCEPT",
        "drop": "-j DROP",
        "dnat": f"-j DNAT --to-destination {rule.to}",
        "masquerade": "-j MASQUERADE",
        "clamp": "-p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu",
    }[rule.verdict]


def _nftables(rules: tuple[Rule, ...]) -> Iterator[str]:
    for table in ("inet bringup", "ip bringup"):
        yield f"nft add table {table}; nft delete table {table}; nft add table {table}"
    names = {"forward": "policy", "input": "input-policy"}
    # A chain that is not needed stays away: address translation, where it is there, also acts on ICMP.
    used: set[Chain] = {"forward", "input", *(rule.chain for rule in rules)}
    used |= _NAT if used & _NAT else set()
    for chain, (place, hook, verdict) in _NFTABLES.items():
        if chain not in used:
            continue
        name = f" # {names[chain]}" if chain in names else ""
        yield f"nft 'add chain {place} {{ {hook}; policy {verdict}; }}'{name}"
    for rule in rules:
        words = [f"iifname {rule.came_in}"] if rule.came_in else []
        words += [f"oifname {rule.goes_out}"] if rule.goes_out else []
        sources = rule.sources or ((rule.source,) if rule.source else ())
        words += [f"ip saddr {_set(sources)}"] if sources else []
        words += [f"ip daddr {_set(rule.destinations)}"] if rule.destinations else []
        words += [f"udp dport {rule.udp_port}"] if rule.udp_port else []
        words += [_nftables_states(rule.states)] if rule.states else []
        place = _NFTABLES[rule.chain][0]
        yield f"nft 'add rule {place} {' '.join(words)} {_nftables_verdict(rule)}' # {rule.name}"


def _nftables_states(states: tuple[str, ...]) -> str:
    return "ct status dnat" if states == ("dnat",) else f"ct state {_set(states)}"


def _set(members: Sequence[object]) -> str:
    return str(members[0]) if len(members) == 1 else f"{{ {', '.join(map(str, members))} }}"


def _nftables_verdict(rule: Rule) -> str:
    return {
        "accept": "counter accept",
        "drop": "counter drop",
        "dnat": f"counter dnat to {rule.to}",
        "masquerade": "counter masquerade",
        "clamp": "tcp flags syn / syn,rst counter tcp option maxseg size set rt mtu",
    }[rule.verdict]


def tunnel_config(description: Description, site: str, private_key: str, peer_key: str) -> str:
    """Return the tunnel of a site as `wg setconf` reads it.

    AllowedIPs is the way out and the filter for what comes in: the other LAN alone, or the split is gone.
    """
    tunnel, peer = description.tunnel, description.peer(site)
    keepalive = [f"PersistentKeepalive = {tunnel.keepalive_s}"] if tunnel.keepalive_s else []
    lines = [
        "[Interface]",
        f"PrivateKey = {private_key}",
        f"ListenPort = {tunnel.port}",
        "",
        "[Peer]",
        f"PublicKey = {peer_key}",
        f"Endpoint = {peer.outer}:{tunnel.port}",
        f"AllowedIPs = {peer.lan}",
        *keepalive,
    ]
    return "\n".join(lines) + "\n"
