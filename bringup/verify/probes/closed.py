"""What must not get in, or past a VM that has no business with it: from outside, and from the VM beside."""

from __future__ import annotations

from contextlib import ExitStack

from bringup.verify.packets import echo_frame, udp_frame
from bringup.verify.plan import Check
from bringup.verify.probes.common import each_site, nothing_seen
from bringup.verify.result import Control, Result, first_failure, judged, together
from bringup.verify.scene import ECHO_PORT, Scene, new_canary
from bringup.vlab.description import other

_COUNT = 3
# One address of each private range (RFC 1918) that no lab of ours uses.
_UNKNOWN_PRIVATE = ("10.201.7.9", "172.19.7.9", "192.168.77.9")
_TIME_EXCEEDED = 11


def red_closed(scene: Scene, check: Check) -> Result:
    """A stranger outside who routes by black reaches nobody inside, nor does he as the other PC."""
    return each_site(_red_closed, scene, at_once=True)


def _red_closed(scene: Scene, site: str) -> Result:
    has, attacker = scene.site(site), scene.node("attacker")
    canary, own = new_canary(), scene.description.outer.attacker
    inside = (has.pc, has.gateway, has.red, has.crypto)
    macs = (scene.mac("attacker", "eth0"), scene.mac(f"vm2-{site}", "eth1"))
    answered, connected = 0, []
    with scene.watching() as watch, ExitStack() as stack:
        for network in (has.lan, has.inner):
            stack.enter_context(scene.with_route("attacker", f"{network} via {has.outer} dev eth0"))
        for target in inside:
            told = attacker.act("ping", to=str(target), payload=canary.hex(), count=2, wait_s=0.15)
            answered += told["answered"]
            state = attacker.act("tcp", to=str(target), port=ECHO_PORT, wait_s=0.15)["state"]
            connected += [f"TCP {target} {state}"] if state in ("connected", "refused") else []
        spoofed = [echo_frame(macs, scene.site(other(site)).pc, target, canary).hex() for target in inside]
        attacker.act("inject", device="eth0", frames=spoofed)
    arrived = [
        frame
        for segment in (f"lan-{site}", f"inner-{site}")
        for frame in watch.frames(segment)
        if canary in frame.data or frame.source == own
    ]
    sent = [frame for frame in watch.hits("outer", canary) if frame.destination in inside]
    silence = judged(
        not answered and not connected, f"{answered} pings answered; {', '.join(connected) or 'no TCP'}"
    )
    nothing = nothing_seen(
        watch,
        "frames of the stranger inside",
        arrived,
        Control("of his frames outside, for inside", len(sent), 3 * len(inside)),
    )
    return first_failure(nothing, silence)


def hidden(scene: Scene, check: Check) -> Result:
    """Black does not even route what a stranger sends inside: no "time exceeded" tells of a way."""
    return each_site(_hidden, scene, at_once=True)


def _hidden(scene: Scene, site: str) -> Result:
    has, attacker, canary = scene.site(site), scene.node("attacker"), new_canary()
    with scene.watching() as watch, ExitStack() as stack:
        for network in (has.lan, has.inner):
            stack.enter_context(scene.with_route("attacker", f"{network} via {has.outer} dev eth0"))
        for target in (has.pc, has.red):
            attacker.act("udp", to=str(target), payload=canary.hex(), ttl=1, count=_COUNT, wait_s=0.1)
    told = [
        frame
        for frame in watch.frames("outer")
        if frame.source == has.outer and frame.icmp and frame.icmp[0] == _TIME_EXCEEDED
    ]
    sent = [frame for frame in watch.hits("outer", canary) if not frame.icmp]
    control = Control("datagrams with TTL 1 for inside", len(sent), 2 * _COUNT)
    return nothing_seen(watch, "answers that tell of a way inside", told, control)


def bogon(scene: Scene, check: Check) -> Result:
    """What comes from outside with an inner address as its source is not let through to crypto."""
    return each_site(_bogon, scene, at_once=True)


def _bogon(scene: Scene, site: str) -> Result:
    has, port, canary, control = scene.site(site), scene.description.tunnel.port, new_canary(), new_canary()
    macs = (scene.mac("attacker", "eth0"), scene.mac(f"vm2-{site}", "eth1"))
    inner, own = scene.site(other(site)).pc, scene.description.outer.attacker
    frames = [udp_frame(macs, inner, has.outer, (port, port), canary).hex()] * _COUNT
    frames += [udp_frame(macs, own, has.outer, (40000, port), control).hex()] * _COUNT
    with scene.watching() as watch:
        scene.node("attacker").act("inject", device="eth0", frames=frames)
    return nothing_seen(
        watch,
        f"datagrams from {inner} let in",
        watch.hits(f"inner-{site}", canary),
        Control("of the same with an address of outside", len(watch.hits(f"inner-{site}", control))),
    )


def black_input(scene: Scene, check: Check) -> Result:
    """Black itself answers nobody outside."""
    return each_site(lambda scene, site: _silent(scene, "attacker", "outer", site, "outer"), scene)


def red_input(scene: Scene, check: Check) -> Result:
    """Red itself answers nobody on the inner segment."""
    return each_site(
        lambda scene, site: _silent(scene, f"vm2-{site}", f"inner-{site}", site, "red"), scene, at_once=True
    )


def crypto_input(scene: Scene, check: Check) -> Result:
    """Crypto itself answers nobody on the inner segment, red and black alike."""
    return each_site(_crypto_input, scene, at_once=True)


def _crypto_input(scene: Scene, site: str) -> Result:
    return together(
        {
            f"from {vm}-{site}": _silent(scene, f"{vm}-{site}", f"inner-{site}", site, "crypto")
            for vm in ("vm0", "vm2")
        }
    )


def _silent(scene: Scene, sender: str, segment: str, site: str, target: str) -> Result:
    address = getattr(scene.site(site), target)
    canary, agent = new_canary(), scene.node(sender)
    with scene.watching() as watch:
        told = agent.act("ping", to=str(address), payload=canary.hex(), count=_COUNT, wait_s=0.15)
        state = agent.act("tcp", to=str(address), port=ECHO_PORT, wait_s=0.15)["state"]
    answers = [
        frame
        for frame in watch.frames(segment)
        if frame.source == address
        and (canary in frame.data or (frame.ports is not None and frame.ports[0] == ECHO_PORT))
    ]
    asked = [frame for frame in watch.hits(segment, canary) if frame.destination == address]
    nothing = nothing_seen(watch, f"answers of {address}", answers, Control("requests", len(asked), _COUNT))
    seen = judged(
        not told["answered"] and state not in ("connected", "refused"),
        f"{told['answered']} pings answered, TCP {state}",
    )
    return first_failure(nothing, seen)


def black_forward(scene: Scene, check: Check) -> Result:
    """Black sends nothing of crypto outside but the tunnel."""
    return each_site(_black_forward, scene, at_once=True)


def _black_forward(scene: Scene, site: str) -> Result:
    canary = new_canary()
    with scene.watching() as watch:
        scene.node(f"vm1-{site}").act(
            "udp", to=str(scene.description.outer.web), payload=canary.hex(), wait_s=0.1
        )
    return nothing_seen(
        watch,
        "frames of crypto outside that are no tunnel",
        watch.hits("outer", canary),
        Control("that crypto gave to black", len(watch.hits(f"inner-{site}", canary)), _COUNT),
    )


def red_forward(scene: Scene, check: Check) -> Result:
    """Black, were it taken over, reaches no PC: red lets in the other LAN and answers only."""
    return each_site(_red_forward, scene, at_once=True)


def _red_forward(scene: Scene, site: str) -> Result:
    canary = new_canary()
    with scene.watching() as watch:
        scene.node(f"vm2-{site}").act("udp", to=str(scene.site(site).pc), payload=canary.hex(), wait_s=0.1)
    return nothing_seen(
        watch,
        "frames of black on the PC's segment",
        watch.hits(f"lan-{site}", canary),
        Control("that black gave to red", len(watch.hits(f"inner-{site}", canary)), _COUNT),
    )


def red_private(scene: Scene, check: Check) -> Result:
    """Red sends nothing to private networks that it does not know."""
    return each_site(_red_private, scene, at_once=True)


def _red_private(scene: Scene, site: str) -> Result:
    canary = new_canary()
    with scene.watching() as watch:
        for target in _UNKNOWN_PRIVATE:
            scene.send(site, canary, to=target, count=1, wait_s=0.1)
    return nothing_seen(
        watch,
        "frames for unknown private networks on the inner segment",
        watch.hits(f"inner-{site}", canary),
        Control("on the PC's segment", len(watch.hits(f"lan-{site}", canary)), len(_UNKNOWN_PRIVATE)),
    )
