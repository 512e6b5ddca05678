"""What the tunnel must not take: a stranger's key, what was said before, sources of another LAN."""

from __future__ import annotations

import json
import time

from bringup.verify.plan import Check
from bringup.verify.probes.common import each_site, nothing_seen
from bringup.verify.result import Control, Result, first_failure, judged
from bringup.verify.scene import SITES, Scene, new_canary
from bringup.vlab.description import other
from bringup.vlab.frames import WG_DATA, WG_INITIATION, WG_RESPONSE, without_udp_checksum
from bringup.vlab.tunnel import new_keys

# A message of type 4 that holds nothing, with its headers.
_KEEPALIVE_BYTES = 74


def wrong_key(scene: Scene, check: Check) -> Result:
    """Site B has another private key: A's initiations get no answer, again and again."""
    seconds = float(check.params.get("seconds", 5.8))
    for site in SITES:
        scene.tunnels[site].remove_peer()
    scene.tunnels["b"].set_private_key(new_keys().private)
    with scene.watching() as watch:
        scene.tunnels["a"].restore()
        scene.tunnels["b"].answer_only()
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            scene.send("a", new_canary(), count=1, wait_s=0.5)
    peer = scene.tunnels["a"].peer()
    outer, own = watch.frames("outer"), scene.site("a").outer
    answers = [f for f in outer if f.wireguard(scene.description.tunnel.port) == WG_RESPONSE]
    control = Control("initiations of vm1-a", scene.wireguard(outer, WG_INITIATION, source=own), 2)
    scene.restore_tunnels()
    back_s = scene.recover()
    never = judged(
        peer is not None and peer.latest_handshake == 0,
        f"no handshake at vm1-a; with the right key back after {back_s:.1f} s",
    )
    return first_failure(nothing_seen(watch, "answers to them", answers, control), never)


def replay(scene: Scene, check: Check) -> Result:
    """What was said before, said again by a stranger, arrives at crypto and has no effect."""
    port, far = scene.description.tunnel.port, "b"
    canary = new_canary()
    # Site A alone begins, so that its initiation is one that site B has taken.
    for site in SITES:
        scene.tunnels[site].remove_peer()
    scene.forget_connections()
    scene.tunnels["b"].answer_only()
    with scene.watching() as first:
        scene.tunnels["a"].begin_only()
        scene.send("a", canary, count=4, interval_s=0.1, wait_s=0.3)
    own, there = scene.site("a").outer, scene.site(far).outer
    said = [f for f in first.frames("outer") if (f.source, f.destination) == (own, there)]
    data = [f for f in said if f.wireguard(port) == WG_DATA and f.length > _KEEPALIVE_BYTES][:3]
    begun = [f for f in said if f.wireguard(port) == WG_INITIATION][-1:]
    before = scene.tunnels[far].peer()
    # Under the stranger's own hardware address: the switch would else send him what is black's.
    own_mac = bytes.fromhex(scene.mac("attacker", "eth0").replace(":", ""))
    frames = [without_udp_checksum(frame) for frame in (*data, *begun)]
    again = [(frame[:6] + own_mac + frame[12:]).hex() for frame in frames]
    with scene.watching() as second:
        scene.node("attacker").act("inject", device="eth0", frames=again, interval_s=0.02)
    after = scene.tunnels[far].peer()
    inner = [f.body[8:] for f in second.frames(f"inner-{far}")]
    arrived = sum(frame.body[8:] in inner for frame in (*data, *begun))
    fresh = second.hits(f"lan-{far}", canary)
    answers = scene.wireguard(second.frames("outer"), WG_RESPONSE, source=there)
    counted = after.received - before.received if before and after else 0
    nothing = nothing_seen(
        second,
        "datagrams that came out again",
        fresh,
        Control("came out when they were first sent", len(first.hits(f"lan-{far}", canary))),
        Control("replayed messages that reached crypto", arrived, len(again)),
        Control("of type 4 and type 1 replayed", len(again), 2),
    )
    scene.restore_tunnels()
    scene.recover()
    silent = judged(answers == 0 and counted == 0, f"{answers} answers, {counted} bytes counted by wg")
    return first_failure(nothing, silent)


def allowed_ips(scene: Scene, check: Check) -> Result:
    """The tunnel takes the other LAN's addresses and no others, out and in."""
    return each_site(_allowed_ips, scene)


def _allowed_ips(scene: Scene, site: str) -> Result:
    far, peer = other(site), scene.tunnels[site].peer()
    lan = str(scene.site(far).lan)
    told = peer.allowed_ips if peer else "no peer"
    # From the far crypto itself: what red and the rules there would stop goes round them.
    sender, to = scene.node(f"vm1-{far}"), scene.site(site).pc
    strange = next(a for a in ("10.77.7.7", "10.78.8.8") if a not in lan)
    sender.run(f"ip address add {strange}/32 dev lo && ip address add {scene.site(far).pc}/32 dev lo")
    try:
        counts = [_received(scene, site)]
        for source in (strange, str(scene.site(far).pc)):
            sender.act("udp", to=str(to), payload=new_canary().hex(), source=source, count=3, wait_s=0.3)
            counts.append(_received(scene, site))
    finally:
        sender.run(f"ip address delete {strange}/32 dev lo; ip address delete {scene.site(far).pc}/32 dev lo")
    let_in, control = counts[1] - counts[0], counts[2] - counts[1]
    ok = told == lan and let_in == 0 and control >= 3
    text = (
        f"AllowedIPs of vm1-{site}: {told} (must be {lan}); from {strange} {let_in} of 3 came out of wg0, "
        f"from the other PC {control} of 3"
    )
    return judged(ok, text, allowed_ips=told, let_in=let_in, control=control)


def _received(scene: Scene, site: str) -> int:
    """Return how many packets came out of the tunnel so far."""
    told = json.loads(scene.node(f"vm1-{site}").run("ip -j -s link show dev wg0"))
    return int(told[0]["stats64"]["rx"]["packets"])
