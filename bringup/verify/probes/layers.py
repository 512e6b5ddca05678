"""Each layer against leaks by itself: what the others would catch is taken away, or gone round."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bringup.verify.plan import Check
from bringup.verify.probes.common import each_site, nothing_seen
from bringup.verify.result import Control, Result
from bringup.verify.scene import Scene, Watch, new_canary
from bringup.vlab.description import other

_REDIRECT = 5
_COUNT = 3


def kill_red(scene: Scene, check: Check) -> Result:
    """Red without its route sends nothing for the other LAN onto the inner segment."""
    return each_site(_kill_red, scene, at_once=True)


def _kill_red(scene: Scene, site: str) -> Result:
    canary, before = new_canary(), new_canary()
    with scene.watching() as watch:
        scene.send(site, before, count=1, wait_s=0.1)
        with scene.without_route(f"vm0-{site}", scene.site(other(site)).lan):
            scene.send(site, canary, wait_s=0.1)
    return nothing_seen(
        watch,
        "frames of red on the inner segment",
        watch.hits(f"inner-{site}", canary),
        Control("on the PC's segment", len(watch.hits(f"lan-{site}", canary)), _COUNT),
        Control("on the inner segment with the route", len(watch.hits(f"inner-{site}", before))),
    )


def kill_route(scene: Scene, check: Check) -> Result:
    """Crypto's own packets, which no forwarding rule sees, have no way without wg0."""
    return each_site(_kill_route, scene)


def _kill_route(scene: Scene, site: str) -> Result:
    canary, control = new_canary(), new_canary()
    crypto = scene.node(f"vm1-{site}")
    with scene.watching() as watch, _tunnel_down(scene, site):
        told = crypto.act("udp", to=str(scene.site(other(site)).pc), payload=canary.hex(), wait_s=0.1)
        crypto.act("udp", to=str(scene.description.outer.web), payload=control.hex(), wait_s=0.1)
    scene.recover()
    result = nothing_seen(
        watch,
        "frames of crypto itself for the other LAN",
        watch.hits(f"inner-{site}", canary),
        Control("of its frames for the Internet", len(watch.hits(f"inner-{site}", control))),
    )
    return result if not told["errors"] else _noted(result, f"crypto was told {told['errors'][0]}")


def kill_crypto(scene: Scene, check: Check) -> Result:
    """Crypto without wg0 and without its unreachable route forwards nothing back onto the inner segment."""
    return each_site(_kill_crypto, scene)


def _kill_crypto(scene: Scene, site: str) -> Result:
    canary = new_canary()
    watch = _bare_crypto(scene, site, canary, f"pc-{site}")
    own = scene.mac(f"vm1-{site}", "eth0")
    inner = watch.hits(f"inner-{site}", canary)
    again = [frame for frame in inner if frame.source_mac == own and not frame.icmp]
    return nothing_seen(
        watch,
        "frames sent on by crypto",
        again,
        Control("frames that red gave to crypto", len(inner) - len(again), _COUNT),
    )


def redirects(scene: Scene, check: Check) -> Result:
    """Crypto does not tell red of a shorter way, which would be past it."""
    return each_site(_redirects, scene)


def _redirects(scene: Scene, site: str) -> Result:
    canary = new_canary()
    # Only whoever is on the same segment is told of a shorter way: red itself.
    watch = _bare_crypto(scene, site, canary, f"vm0-{site}")
    inner = watch.frames(f"inner-{site}")
    told = [frame for frame in inner if frame.icmp and frame.icmp[0] == _REDIRECT]
    return nothing_seen(
        watch,
        "ICMP redirects",
        told,
        Control("frames that red gave to crypto", len(watch.hits(f"inner-{site}", canary)), _COUNT),
    )


def _bare_crypto(scene: Scene, site: str, canary: bytes, sender: str) -> Watch:
    """Send while crypto has neither wg0 nor its fallback, and only its default route is left."""
    lan = scene.site(other(site)).lan
    with (
        scene.watching() as watch,
        _tunnel_down(scene, site),
        scene.without_route(f"vm1-{site}", lan, fallback_too=True),
    ):
        to = str(scene.site(other(site)).pc)
        scene.node(sender).act("udp", to=to, payload=canary.hex(), count=_COUNT, wait_s=0.1)
    scene.recover()
    return watch


def kill_black(scene: Scene, check: Check) -> Result:
    """What red sends past crypto, from the LAN to the other LAN, ends at black."""
    return each_site(_kill_black, scene, at_once=True)


def _kill_black(scene: Scene, site: str) -> Result:
    canary, has = new_canary(), scene.site(site)
    peer = scene.site(other(site)).pc
    with scene.watching() as watch, scene.with_route(f"vm0-{site}", f"{peer} via {has.black} dev eth0"):
        # Red's own packet, with its address on the LAN: to black it is one of the LAN's.
        scene.node(f"vm0-{site}").act(
            "udp", to=str(peer), payload=canary.hex(), source=str(has.gateway), count=_COUNT, wait_s=0.1
        )
    return nothing_seen(
        watch,
        "frames sent on by black",
        watch.hits("outer", canary),
        Control("frames that black was given", len(watch.hits(f"inner-{site}", canary)), _COUNT),
    )


@contextmanager
def _tunnel_down(scene: Scene, site: str) -> Iterator[None]:
    scene.tunnels[site].link_down()
    try:
        yield
    finally:
        # Both ends: whether one alone can begin is another check's question.
        scene.restore_tunnels()


def _noted(result: Result, words: str) -> Result:
    return Result(result.status, f"{result.evidence}; {words}", result.values, result.excerpt)
