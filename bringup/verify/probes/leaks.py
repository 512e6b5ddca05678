"""Nothing of one LAN for the other is seen outside in clear: not in the good state, not in any broken one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from bringup.verify.plan import Check
from bringup.verify.probes.common import nothing_seen
from bringup.verify.result import Control, Result, together
from bringup.verify.scene import SITES, Scene, Watch, new_canary
from bringup.vlab.description import other
from bringup.vlab.frames import WG_DATA, Frame

_BEFORE_S = 0.4
_EVERY_S = 0.1


def no_clear(scene: Scene, check: Check) -> Result:
    """ICMP, TCP and UDP with a canary each: while the tunnel is good, down, and not routed to."""
    states = {"tunnel up": _nothing, "wg0 down": _link_down, "red's route gone": _route_gone}
    return together({name: _clear(scene, enter) for name, enter in states.items()})


def _clear(scene: Scene, enter: Callable[[Scene], Iterator[None]]) -> Result:
    canaries = {site: {kind: new_canary() for kind in ("icmp", "tcp", "udp")} for site in SITES}
    with scene.watching() as watch, _knowing_router(scene):
        for site in SITES:
            scene.send(site, new_canary(), count=2, wait_s=0.1)
        with contextmanager(enter)(scene):
            works = [lambda site=site: _send_all_kinds(scene, site, canaries[site]) for site in SITES]
            with scene.meanwhile(*works):
                pass
    if enter is not _nothing:
        scene.recover()
    # A connection shows its bytes only once it is one: without, the SYN is what could leak.
    kinds = ("icmp", "tcp", "udp") if enter is _nothing else ("icmp", "udp")
    hits = [
        frame for site in SITES for kind in canaries[site].values() for frame in watch.hits("outer", kind)
    ]
    hits += _private_syns(scene, watch)
    controls = [Control("WireGuard data frames outside", scene.wireguard(watch.frames("outer"), WG_DATA))]
    for site in SITES:
        for kind in kinds:
            seen = len(watch.hits(f"lan-{site}", canaries[site][kind]))
            controls.append(Control(f"{kind} on lan-{site}", seen))
    return nothing_seen(watch, "frames outside in clear", hits, *controls)


def _private_syns(scene: Scene, watch: Watch) -> list[Frame]:
    lans = [scene.site(site).lan for site in SITES]
    return [
        frame
        for frame in watch.frames("outer")
        if frame.mss is not None and any(frame.destination in lan for lan in lans if frame.destination)
    ]


def _send_all_kinds(scene: Scene, site: str, canaries: dict[str, bytes]) -> None:
    pc, to = scene.node(f"pc-{site}"), str(scene.site(other(site)).pc)
    pc.act("ping", to=to, payload=canaries["icmp"].hex(), count=3, wait_s=0.2)
    pc.act("udp", to=to, payload=canaries["udp"].hex(), count=3, wait_s=0.2)
    pc.act("tcp", to=to, payload=canaries["tcp"].hex(), wait_s=0.5)


def kill_switch(scene: Scene, check: Check) -> Result:
    """Both PCs send before, during and after each way of losing the tunnel, its start among them."""
    after_s = float(check.params.get("after_s", 3))
    states: dict[str, Callable[[Scene], Iterator[None]]] = {
        "peer unreachable": _unreachable,
        "peer removed": _peer_removed,
        "wg0 down": _link_down,
        "wg0 gone, then made again": _destroyed,
        "red's route gone": _route_gone,
    }
    return together({name: _killed(scene, enter, after_s) for name, enter in states.items()})


def _killed(scene: Scene, enter: Callable[[Scene], Iterator[None]], after_s: float) -> Result:
    canaries = {site: new_canary() for site in SITES}
    count = int((_BEFORE_S + after_s + 0.6) / _EVERY_S)
    works = [
        lambda site=site: scene.send(site, canaries[site], count=count, interval_s=_EVERY_S, wait_s=0)
        for site in SITES
    ]
    with scene.watching() as watch, _knowing_router(scene), scene.meanwhile(*works):
        time.sleep(_BEFORE_S)
        broken_s = time.time()
        with contextmanager(enter)(scene):
            time.sleep(after_s)
            mended_s = time.time()
        # What is sent while it comes up again belongs to it: rules must be there before the tunnel is.
    scene.recover()
    before = [frame for frame in watch.frames("outer") if frame.at_s < broken_s]
    hits = [frame for site in SITES for frame in watch.hits("outer", canaries[site])]
    controls = [Control("WireGuard data frames outside before", scene.wireguard(before, WG_DATA))]
    for site in SITES:
        sent = [f for f in watch.hits(f"lan-{site}", canaries[site]) if broken_s < f.at_s < mended_s]
        controls.append(Control(f"sent on lan-{site} while broken", len(sent), int(after_s / _EVERY_S / 2)))
    return nothing_seen(watch, "frames outside in clear", hits, *controls)


@contextmanager
def _knowing_router(scene: Scene) -> Iterator[None]:
    """The worst Internet: its router knows both LANs, so that what leaks even gets an answer."""
    with ExitStack() as stack:
        for site in SITES:
            has = scene.site(site)
            stack.enter_context(scene.with_route("internet", f"{has.lan} via {has.outer} dev eth0"))
        yield


def _nothing(scene: Scene) -> Iterator[None]:
    yield


def _unreachable(scene: Scene) -> Iterator[None]:
    with scene.losing_outside(""):
        yield


def _peer_removed(scene: Scene) -> Iterator[None]:
    for site in SITES:
        scene.tunnels[site].remove_peer()
    yield
    scene.restore_tunnels()


def _link_down(scene: Scene) -> Iterator[None]:
    for site in SITES:
        scene.tunnels[site].link_down()
    yield
    scene.restore_tunnels()


def _destroyed(scene: Scene) -> Iterator[None]:
    for site in SITES:
        scene.tunnels[site].destroy()
    yield
    scene.restore_tunnels()


def _route_gone(scene: Scene) -> Iterator[None]:
    with ExitStack() as stack:
        for site in SITES:
            stack.enter_context(scene.without_route(f"vm0-{site}", scene.site(other(site)).lan))
        yield
