"""Sabotages of the virtual lab: what is spoilt in the generated scripts, and the checks that must find it."""

from __future__ import annotations

import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from bringup.vlab.description import load_description
from bringup.vlab.scripts import Backend, node_script

LAB = load_description()
_MAKE = "ip link add wg0 type wireguard 2>/dev/null || wireguard-go wg0 >/dev/null 2>&1\n"
_UP = "ip link set wg0 mtu 1420 up\nip route replace 10.0.2.0/24 dev wg0\n"
INITIATION = Path(__file__).with_name("initiation.py")
AHEAD = shlex.join([sys.executable, str(INITIATION), "/run/wg0.conf", "86400"])
_CONFIG = "wg setconf wg0 /run/wg0.conf\n"


@dataclass(frozen=True)
class Sabotage:
    """Lines named `drop` are taken out of a node's script, `policy` ones made to accept, `add` appended."""

    node: str
    fails: tuple[str, ...]
    drop: str = ""
    accept: str = ""
    add: str = ""
    name: str = ""
    replace: tuple[str, str] | None = None
    backend: Backend = "nftables"

    def __str__(self) -> str:
        return f"{self.node}-{self.name or self.drop or self.accept}"

    def write(self, folder: Path) -> None:
        """Write the spoilt script, which must differ from the good one."""
        good = node_script(LAB, LAB.node(self.node), self.backend)
        lines = good.splitlines()
        if self.drop:
            lines = [line for line in lines if not line.endswith(f" # {self.drop}")]
        if self.accept:
            pattern = re.compile(r"drop|DROP")
            named = f" # {self.accept}"
            lines = [pattern.sub("ACCEPT", line) if line.endswith(named) else line for line in lines]
        text = "\n".join(lines) + "\n" + self.add
        if self.replace:
            text = text.replace(*self.replace)
        assert text != good
        (folder / f"{self.node}.sh").write_text(text, encoding="utf-8")


def rule(node: str, name: str, *fails: str) -> Sabotage:
    return Sabotage(node, fails, drop=name)


def open_policy(node: str, name: str, *fails: str) -> Sabotage:
    # By iptables, where the policy of IPv6 is a line of its own.
    return Sabotage(node, fails, accept=name, backend="iptables")


def tunnel(name: str, *fails: str, config: str = _CONFIG, after: str = _UP) -> Sabotage:
    address = "ip address add 10.0.0.1/24 dev wg0\n"
    return Sabotage("vm1-a", fails, add=_MAKE + config + address + after, name=name)


SABOTAGES = (
    open_policy("vm0-a", "policy", "red-forward"),
    open_policy("vm0-a", "input-policy", "red-input"),
    open_policy("vm0-a", "ipv6", "ipv6"),
    rule("vm0-a", "lan-to-peer", "ptp-ab"),
    rule("vm0-a", "peer-to-lan", "ptp-ba"),
    rule("vm0-a", "private", "red-private"),
    rule("vm0-a", "lan-out", "split"),
    rule("vm0-a", "replies", "split"),
    rule("vm0-a", "errors", "mtu"),
    # The way there is the way back that the reverse path filter asks for.
    rule("vm0-a", "peer", "ptp-ab", "ptp-ba"),
    rule("vm0-a", "fallback", "kill-red"),
    rule("vm0-a", "default", "split"),
    open_policy("vm1-a", "policy", "kill-crypto"),
    open_policy("vm1-a", "input-policy", "crypto-input"),
    rule("vm1-a", "own-to-peer", "ptp-ab"),
    rule("vm1-a", "peer-to-own", "ptp-ba"),
    rule("vm1-a", "listen", "handshake-ba"),
    rule("vm1-a", "answers", "pmtu-hole"),
    rule("vm1-a", "mss", "mss"),
    rule("vm1-a", "fallback", "kill-route"),
    rule("vm1-a", "lan", "ptp-ba"),
    rule("vm1-a", "default", "tunnel"),
    Sabotage(
        "vm1-a",
        ("redirects",),
        name="redirects",
        add="echo 1 > /proc/sys/net/ipv4/conf/all/send_redirects\n",
    ),
    rule("vm1-a", "reverse-path", "route-rp"),
    open_policy("vm2-a", "policy", "black-forward"),
    open_policy("vm2-a", "input-policy", "black-input"),
    open_policy("vm2-a", "ipv6", "ipv6"),
    rule("vm2-a", "hidden", "hidden"),
    rule("vm2-a", "private-out", "kill-black"),
    rule("vm2-a", "bogon", "bogon"),
    rule("vm2-a", "tunnel-out", "tunnel"),
    rule("vm2-a", "lan-out", "split"),
    rule("vm2-a", "tunnel-in", "handshake-ba"),
    # Site A is the first to send: all of the tunnel is an answer to it.
    rule("vm2-a", "tunnel-replies", "tunnel"),
    rule("vm2-a", "lan-replies", "split"),
    rule("vm2-a", "dnat", "handshake-ba"),
    rule("vm2-a", "tunnel-nat", "handshake-ab"),
    rule("vm2-a", "lan-nat", "split"),
    rule("vm2-a", "default", "split"),
    rule("vm2-a", "lan", "split"),
    tunnel(
        "another private key", "tunnel", config=_CONFIG + "wg genkey | wg set wg0 private-key /dev/stdin\n"
    ),
    tunnel(
        "another peer",
        "tunnel",
        config=_CONFIG
        + "old=$(wg show wg0 peers); wg set wg0 peer $old remove\n"
        + 'wg set wg0 peer "$(wg genkey | wg pubkey)" endpoint 192.168.1.20:51820 allowed-ips 10.0.2.0/24\n',
    ),
    tunnel(
        "all AllowedIPs",
        "allowed-ips",
        after="wg set wg0 peer $(wg show wg0 peers) allowed-ips 0.0.0.0/0\n" + _UP,
    ),
    tunnel("MTU 1400", "mtu", after=_UP.replace("1420", "1400")),
    tunnel("another port", "tunnel", after="wg set wg0 listen-port 51999\n" + _UP),
    tunnel("no route into the tunnel", "ptp-ab", "ptp-ba", after="ip link set wg0 mtu 1420 up\n"),
    Sabotage("vm1-a", ("mtu",), add="iptables -A OUTPUT -p icmp -j DROP\n", name="no ICMP"),
    Sabotage(
        "pc-a",
        ("dns",),
        add="echo nameserver 203.0.113.80 > /run/resolv.conf\n",
        name="resolver of the Internet",
    ),
    # When the tunnel goes, its key says a time of tomorrow: to its peer the clock is behind from then on.
    Sabotage(
        "vm1-a",
        ("clock",),
        add=f"{AHEAD} >/dev/null 2>&1 </dev/null &\n",
        name="a clock that was ahead",
    ),
    Sabotage(
        "vm2-b",
        ("roam",),
        name="a fixed address",
        replace=(
            "ip saddr 192.168.2.2 counter masquerade",
            "ip saddr 192.168.2.2 counter snat to 192.168.1.20",
        ),
    ),
)

# What a first set of rules without any default policy looks like: routes, address translation, and nothing
# that says no. The closest public system of this kind was published like that.
PUBLISHED = {
    "vm0": """\
echo 1 > /proc/sys/net/ipv4/ip_forward
ip route replace default via 192.168.2.3
ip route replace {peer} via 192.168.2.2
iptables -P FORWARD ACCEPT
""",
    "vm1": """\
echo 1 > /proc/sys/net/ipv4/ip_forward
ip route replace default via 192.168.2.3
ip route replace {lan} via 192.168.2.1
iptables -P FORWARD ACCEPT
""",
    "vm2": """\
echo 1 > /proc/sys/net/ipv4/ip_forward
ip route replace default via 192.168.1.100
ip route replace {lan} via 192.168.2.1
iptables -t nat -A POSTROUTING -o eth1 -j MASQUERADE
iptables -t nat -A PREROUTING -i eth1 -p udp --dport 51820 -j DNAT --to-destination 192.168.2.2
iptables -A FORWARD -i eth1 -o eth0 -p udp --dport 51820 -j ACCEPT
iptables -P FORWARD ACCEPT
""",
}


def write_published(folder: Path) -> None:
    """Write the rules without policies, for both sites."""
    for site in ("a", "b"):
        for vm, text in PUBLISHED.items():
            words = {"lan": LAB.sites[site].lan, "peer": LAB.peer(site).lan}
            (folder / f"{vm}-{site}.sh").write_text(text.format(**words), encoding="utf-8")
