"""Sizes: what fits through the tunnel, who says so when it does not, and a smaller way outside."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from bringup.verify.plan import Check
from bringup.verify.probes.common import each_site
from bringup.verify.result import Result, judged
from bringup.verify.scene import ECHO_PORT, SITES, Scene
from bringup.vlab.description import other

_HEADERS_BYTES = 28  # IPv4 and ICMP
_TCP_HEADERS_BYTES = 40
_BULK_BYTES = 200_000


def mtu(scene: Scene, check: Check) -> Result:
    """The largest packet passes, one byte more is refused with the size that fits, and bulk moves."""
    return each_site(_mtu, scene)


def _mtu(scene: Scene, site: str) -> Result:
    size = scene.description.tunnel.mtu
    pc, to = scene.node(f"pc-{site}"), str(scene.site(other(site)).pc)
    pc.run("ip route flush cache")
    fits = pc.act("ping", to=to, size=size - _HEADERS_BYTES, df=True, count=2)
    over = pc.act("ping", to=to, size=size - _HEADERS_BYTES + 1, df=True, count=2, wait_s=0.3)
    told = next((error for error in over["errors"] if " mtu " in error), "nobody")
    learnt = json.loads(pc.run(f"ip -j route get {to}"))[0].get("metrics", [{}])[0].get("mtu")
    bulk = pc.act("tcp", to=to, port=ECHO_PORT, size=_BULK_BYTES, wait_s=6)
    pc.run("ip route flush cache")
    ok = (
        fits["answered"] == 2
        and over["answered"] == 0
        and told.endswith(f"mtu {size}")
        and bulk["echoed"] == _BULK_BYTES
    )
    text = (
        f"{size} bytes: {fits['answered']}/2 answered; {size + 1}: {over['answered']}/2, {told} says so; "
        f"the PC learnt {learnt}; TCP moved {bulk['echoed']} of {_BULK_BYTES} bytes"
    )
    return judged(ok, text, learnt=learnt, echoed=bulk["echoed"])


def mss(scene: Scene, check: Check) -> Result:
    """A SYN arrives with the segment size that fits the tunnel, whoever loses ICMP."""
    return each_site(_mss, scene)


def _mss(scene: Scene, site: str) -> Result:
    far, least = other(site), scene.description.tunnel.mtu - _TCP_HEADERS_BYTES
    # What a PC has learnt of the way makes it offer less by itself.
    scene.node(f"pc-{site}").run("ip route flush cache")
    with scene.watching() as watch:
        scene.node(f"pc-{site}").act("tcp", to=str(scene.site(far).pc), port=ECHO_PORT, wait_s=0.5)
    source = scene.site(site).pc
    sizes = {
        segment: [
            frame.mss
            for frame in watch.frames(segment)
            if frame.source == source
            and frame.mss is not None
            and frame.ports
            and frame.ports[1] == ECHO_PORT
        ]
        for segment in (f"lan-{site}", f"lan-{far}")
    }
    offered, arrived = sizes[f"lan-{site}"], sizes[f"lan-{far}"]
    ok = bool(offered and arrived) and max(arrived) <= least < max(offered)
    text = f"a SYN with MSS {_first(offered)} arrives with {_first(arrived)} (at most {least})"
    return judged(ok, text, offered=_first(offered), arrived=_first(arrived))


def _first(values: list[int]) -> int | str:
    return values[0] if values else "none"


def pmtu_hole(scene: Scene, check: Check) -> Result:
    """With a smaller way outside bulk still moves: a small ping alone would not tell."""
    return each_site(
        lambda scene, site: _pmtu_hole(scene, site, int(check.params.get("outer_mtu", 1300))), scene
    )


def _pmtu_hole(scene: Scene, site: str, outer_mtu: int) -> Result:
    pc, to = scene.node(f"pc-{site}"), str(scene.site(other(site)).pc)
    size = scene.description.tunnel.mtu - _HEADERS_BYTES
    with _smaller_outside(scene, outer_mtu):
        exact = pc.act("ping", to=to, size=size, df=True, count=2, wait_s=0.3)
        plain = pc.act("ping", to=to, size=size, df=False, count=4, interval_s=0.2, wait_s=0.5)
        small = pc.act("ping", to=to, size=56, count=2)
        bulk = pc.act("tcp", to=to, port=ECHO_PORT, size=_BULK_BYTES, wait_s=8)
    ok = bool(plain["answered"]) and bulk["echoed"] == _BULK_BYTES
    text = (
        f"outer MTU {outer_mtu}: small pings {small['answered']}/2, full ones with DF {exact['answered']}/2 "
        f"({', '.join(exact['errors']) or 'no ICMP'}), without {plain['answered']}/4; "
        f"TCP moved {bulk['echoed']} of {_BULK_BYTES} bytes"
    )
    return judged(ok, text, echoed=bulk["echoed"], plain=plain["answered"])


@contextmanager
def _smaller_outside(scene: Scene, size: int) -> Iterator[None]:
    cards = [scene.node(f"vm2-{site}") for site in SITES]
    usual = [json.loads(card.run("ip -j link show dev eth1"))[0]["mtu"] for card in cards]
    for card in cards:
        card.run(f"ip link set eth1 mtu {size}")
    try:
        yield
    finally:
        for card, before in zip(cards, usual, strict=True):
            card.run(f"ip link set eth1 mtu {before}")
        # What was learnt of the smaller way is forgotten.
        for site in SITES:
            scene.node(f"vm1-{site}").run("ip route flush cache")
