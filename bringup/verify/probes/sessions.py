"""Sessions of the tunnel: new keys, another address, loss."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address

from bringup.verify.plan import Check
from bringup.verify.probes.common import each_site
from bringup.verify.result import Result, judged
from bringup.verify.scene import SITES, Scene, new_canary
from bringup.vlab.description import other
from bringup.vlab.frames import WG_INITIATION, WG_RESPONSE

# As long as a small VM takes at least, from its end to its tunnel's first words.
_RESTART_S = 0.5


def rekey_forced(scene: Scene, check: Check) -> Result:
    """A peer that is forgotten and named again comes to a new session at once."""
    limit_s = float(check.params.get("limit_s", 6))
    before = scene.tunnels["a"].peer()
    with scene.watching() as watch:
        scene.tunnels["a"].restore()
        seconds = _until_arrived(scene, limit_s)
    peer = scene.tunnels["a"].peer()
    outer = watch.frames("outer")
    begun, answered = scene.wireguard(outer, WG_INITIATION), scene.wireguard(outer, WG_RESPONSE)
    newer = peer is not None and peer.latest_handshake >= (before.latest_handshake if before else 0) > 0
    ok = seconds is not None and bool(begun and answered) and newer
    when = "not" if seconds is None else f"after {seconds:.2f} s"
    text = f"{begun} of type 1 and {answered} of type 2 outside; traffic again {when} (limit {limit_s:g} s)"
    if seconds is None:
        scene.restore_tunnels()
        scene.recover()
    return judged(ok, text, seconds=seconds)


def rekey_natural(scene: Scene, check: Check) -> Result:
    """By themselves, at about 120 s, the ends take new keys, and no ping is lost."""
    seconds = float(check.params.get("seconds", 135))
    scene.restore_tunnels()
    scene.recover()
    to, count = str(scene.site("b").pc), int(seconds * 2)
    with scene.watching() as watch:
        told = scene.node("pc-a").act("udp", to=to, payload=new_canary().hex(), count=1, wait_s=0.2)
        answered = told["answered"]
        # In parts that an agent answers in good time.
        for _ in range(count // 20):
            answered += scene.send("a", new_canary(), count=20, interval_s=0.5, wait_s=0.1)["answered"]
    sent = 1 + count // 20 * 20
    frames = [f for f in watch.frames("outer") if f.wireguard(scene.description.tunnel.port) == WG_INITIATION]
    begun_s = watch.frames("outer")[0].at_s
    times = [round(frame.at_s - begun_s, 1) for frame in frames]
    ok = bool(times) and max(times) > 100 and answered >= sent - 1
    return judged(ok, f"initiations at {times} s; {answered} of {sent} answered", times=times)


def loss(scene: Scene, check: Check) -> Result:
    """With every n-th message of the tunnel lost, the first of a session too, it comes about all the same."""
    limit_s, every = float(check.params.get("limit_s", 60)), int(check.params.get("every", 3))
    with scene.watching() as watch, scene.losing_outside(f"numgen inc mod {every} 0"):
        scene.restore_tunnels()
        seconds = _until_arrived(scene, limit_s)
    tries = scene.wireguard(watch.frames("outer"), WG_INITIATION, source=scene.site("a").outer)
    if seconds is None:
        scene.restore_tunnels()
    scene.recover()
    when = "no traffic" if seconds is None else f"traffic after {seconds:.1f} s"
    text = f"1 of {every} messages lost: {when} (limit {limit_s:g} s), {tries} initiations of vm1-a"
    return judged(seconds is not None, text, seconds=seconds, initiations=tries)


def _until_arrived(scene: Scene, limit_s: float) -> float | None:
    """Return after how many seconds PC A's pings are answered, None where they are not in time."""
    start_s, to = time.monotonic(), str(scene.site("b").pc)
    while time.monotonic() - start_s < limit_s:
        if scene.node("pc-a").act("ping", to=to, count=1, wait_s=0.3)["answered"]:
            return time.monotonic() - start_s
    return None


def clock(scene: Scene, check: Check) -> Result:
    """A crypto VM restarts while its peer is silent: its first handshake must be newer than any before.

    WireGuard drops an initiation whose time is not after the last one taken of that key, in silence (TAI64N;
    the whitepaper, 5.4.2). A peer that begins by itself would hide it.
    """
    limit_s, apart_s = float(check.params.get("limit_s", 6)), float(check.params.get("apart_s", 60))
    return each_site(lambda scene, site: _clock(scene, site, limit_s, apart_s), scene)


def _clock(scene: Scene, site: str, limit_s: float, most_s: float) -> Result:
    far, own = other(site), f"vm1-{site}"
    scene.tunnels[far].say_nothing()
    scene.tunnels[site].destroy()
    time.sleep(_RESTART_S)
    with scene.watching() as watch:
        scene.tunnels[site].restore()
        seconds = _until_session(scene, site, limit_s)
    outer = watch.frames("outer")
    begun = scene.wireguard(outer, WG_INITIATION, source=scene.site(site).outer)
    answered = scene.wireguard(outer, WG_RESPONSE, source=scene.site(far).outer)
    apart_s = _now_s(scene, own) - _now_s(scene, f"vm1-{far}")
    clocks = f"its clock is {apart_s:+.0f} s from that of vm1-{far}"
    if begun and answered and seconds is not None:
        scene.restore_tunnels()
        scene.recover()
        text = f"{own} restarted and vm1-{far} answered it after {seconds:.1f} s; {clocks}"
        agree = abs(apart_s) <= most_s
        # Answered this time: whichever is behind is refused as soon as it was right once before.
        text += "" if agree else f" (at most {most_s:g} s): set the clock before the tunnel starts"
        return judged(agree, text, seconds=seconds, apart_s=apart_s)
    inside = scene.wireguard(watch.frames(f"inner-{far}"), WG_INITIATION)
    # The control: with what it knew of the time gone, the same peer answers the same end.
    scene.tunnels[far].answer_only()
    scene.tunnels[site].restore()
    after_s = _until_session(scene, site, limit_s)
    scene.restore_tunnels()
    scene.recover()
    why = (
        "once it had forgotten its peer it answered: their time is not after the last one it took, "
        "so set the clock before the tunnel starts"
        if after_s is not None
        else "nor when it had forgotten its peer: not for the clock alone"
    )
    text = (
        f"{own} restarted: {begun} initiations, {inside} reached inner-{far}, {answered} answered by "
        f"vm1-{far}; {why}; {clocks}"
    )
    return judged(False, text, initiations=begun, apart_s=apart_s)


def _until_session(scene: Scene, site: str, limit_s: float) -> float | None:
    """Return after how many seconds a site's end has a session, None where it has none in time."""
    start_s = time.monotonic()
    while time.monotonic() - start_s < limit_s:
        scene.send(site, new_canary(), count=1, wait_s=0.1)
        peer = scene.tunnels[site].peer()
        if peer is not None and peer.latest_handshake:
            return time.monotonic() - start_s
    return None


def _now_s(scene: Scene, node: str) -> float:
    """Return a node's clock, seconds since 1970."""
    return float(scene.node(node).run("date +%s"))


def roam(scene: Scene, check: Check) -> Result:
    """Site B gets another address outside: site A follows it, and it still works afterwards."""
    hold_s = float(check.params.get("hold_s", 5))
    new = _free_address(scene)
    with scene.watching(), _moved(scene, "b", new):
        start_s = time.monotonic()
        endpoint = ""
        while time.monotonic() - start_s < 10 and not endpoint.startswith(f"{new}:"):
            scene.send("b", new_canary(), count=1, wait_s=0.2)
            peer = scene.tunnels["a"].peer()
            endpoint = peer.endpoint if peer else ""
        followed_s = time.monotonic() - start_s
        held = {site: _still(scene, site, hold_s / 2) for site in SITES}
    scene.restore_tunnels()
    scene.recover()
    ok = endpoint.startswith(f"{new}:") and all(answered == sent for answered, sent in held.values())
    text = (
        f"vm1-a speaks to {endpoint or 'nobody'} after {followed_s:.2f} s (site B moved to {new}); "
        f"for {hold_s:g} s "
        + ", ".join(f"{answered}/{sent} from PC {site}" for site, (answered, sent) in held.items())
    )
    return judged(ok, text, seconds=followed_s, endpoint=endpoint)


def _still(scene: Scene, site: str, seconds: float) -> tuple[int, int]:
    count = max(2, int(seconds / 0.25))
    to = str(scene.site(other(site)).pc)
    told = scene.node(f"pc-{site}").act("ping", to=to, count=count, interval_s=0.25)
    return told["answered"], count


def _free_address(scene: Scene) -> IPv4Address:
    """Return an address of the outer segment that nobody has."""
    outer = scene.description.outer
    taken = {outer.router, outer.attacker, *(scene.site(site).outer for site in SITES)}
    return next(address for address in reversed(list(outer.network.hosts())) if address not in taken)


@contextmanager
def _moved(scene: Scene, site: str, new: IPv4Address) -> Iterator[None]:
    black, old = scene.node(f"vm2-{site}"), scene.site(site).outer
    length = scene.description.outer.network.prefixlen
    # Without this the second address would go with the first.
    black.run("echo 1 > /proc/sys/net/ipv4/conf/all/promote_secondaries")
    _change_address(scene, site, f"{old}/{length}", f"{new}/{length}")
    try:
        yield
    finally:
        _change_address(scene, site, f"{new}/{length}", f"{old}/{length}")
        scene.forget_connections()


def _change_address(scene: Scene, site: str, old: str, new: str) -> None:
    black = scene.node(f"vm2-{site}")
    black.run(f"ip address add {new} dev eth1 && ip address delete {old} dev eth1")
    # What NAT keeps of before would send the tunnel to the old address until it dies.
    black.act("flush_connections")
    for node in (f"vm2-{other(site)}", "internet"):
        scene.node(node).run("ip neighbour flush all")
