"""Routes that are missing, and the protocol that rules for IPv4 do not see."""

from __future__ import annotations

from contextlib import ExitStack

from bringup.verify.plan import Check
from bringup.verify.probes.common import each_site, nothing_seen
from bringup.verify.result import Control, Result, first_failure
from bringup.verify.scene import ECHO_PORT, Scene, new_canary
from bringup.vlab.description import other

_COUNT = 3
# Unique local addresses (RFC 4193); a next hop that is whoever its neighbour entry says.
_OWN, _FAR, _NEXT = "fd00:51::1", "fd00:99::80", "fe80::d15c"


def route_rp(scene: Scene, check: Check) -> Result:
    """Crypto without the tunnel's route takes nothing from it, and no reply goes another way."""
    return each_site(_route_rp, scene)


def _route_rp(scene: Scene, site: str) -> Result:
    far, canary = other(site), new_canary()
    with scene.watching() as watch, scene.without_route(f"vm1-{site}", scene.site(far).lan):
        scene.send(far, canary, wait_s=0.3)
    scene.recover()
    source = scene.site(far).pc
    arrived = [f for f in watch.hits(f"lan-{site}", canary) if f.source == source]
    sent = Control(f"sent by PC {far}", len(watch.hits(f"lan-{far}", canary)), _COUNT)
    outside = nothing_seen(watch, "frames outside in clear", watch.hits("outer", canary), sent)
    inside = nothing_seen(watch, "packets taken from wg0 without a way back", arrived, sent)
    return first_failure(outside, inside)


def ipv6(scene: Scene, check: Check) -> Result:
    """Red and black forward no IPv6, also where they would know a way."""
    return each_site(_ipv6, scene, at_once=True)


def _ipv6(scene: Scene, site: str) -> Result:
    red = _past(scene, f"pc-{site}", f"vm0-{site}", ("eth1", f"lan-{site}"), (f"vm2-{site}", f"inner-{site}"))
    black = _past(scene, f"vm1-{site}", f"vm2-{site}", ("eth0", f"inner-{site}"), ("internet", "outer"))
    return first_failure(red, black)


def _past(scene: Scene, sender: str, vm: str, entry: tuple[str, str], beyond: tuple[str, str]) -> Result:
    """Send IPv6 from `sender` to `vm`, which is given a way on to `beyond`; (card or node, segment)."""
    canary = new_canary()
    card, out = entry[0], "eth0" if entry[0] == "eth1" else "eth1"
    next_card = "eth0"
    with ExitStack() as stack:
        stack.enter_context(_way(scene, sender, "eth0", scene.mac(vm, card)))
        if scene.node(vm).tries("test -e /proc/sys/net/ipv6/conf/all/forwarding"):
            scene.node(vm).run("echo 1 > /proc/sys/net/ipv6/conf/all/forwarding")
            stack.enter_context(_way(scene, vm, out, scene.mac(beyond[0], next_card)))
        with scene.watching() as watch:
            scene.node(sender).act("udp", to=_FAR, port=ECHO_PORT, payload=canary.hex(), wait_s=0.1)
    return nothing_seen(
        watch,
        f"IPv6 packets forwarded by {vm}",
        watch.hits(beyond[1], canary),
        Control(f"sent to {vm}", len(watch.hits(entry[1], canary)), _COUNT),
    )


def _way(scene: Scene, node: str, card: str, mac: str) -> ExitStack:
    """Give a node an IPv6 address and a default route to a neighbour, until closed."""
    agent, stack = scene.node(node), ExitStack()
    agent.run(
        f"set -e\nip -6 address replace {_OWN}/64 dev {card} nodad\n"
        f"ip -6 neighbour replace {_NEXT} lladdr {mac} dev {card}\n"
        f"ip -6 route replace default via {_NEXT} dev {card}"
    )
    undo = (
        f"ip -6 route delete default dev {card}; ip -6 neighbour delete {_NEXT} dev {card}; "
        f"ip -6 address delete {_OWN}/64 dev {card}"
    )
    stack.callback(lambda: agent.act("run", script=undo))
    return stack
