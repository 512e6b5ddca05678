"""Good traffic: the tunnel is there, PCs reach each other through it and the Internet beside it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

from bringup.verify.plan import Check
from bringup.verify.result import Control, Result, absent, first_failure, judged, skipped, together
from bringup.verify.scene import DNS_PORT, SITES, Scene, new_canary
from bringup.vlab.description import other
from bringup.vlab.frames import WG_DATA, WG_INITIATION, WG_RESPONSE

# Of what wraps a datagram inside: IP and UDP.
_INNER_OVERHEAD_BYTES = 28
# What wg counts for a datagram with a canary; a handshake alone, which may come by itself, is 148.
_MESSAGE_BYTES = 80


def tunnel(scene: Scene, check: Check) -> Result:
    """A session comes about: both ends name the same handshake's time."""
    limit_s = float(check.params.get("limit_s", 15))
    if not all(scene.found.values()):
        absent_at = ", ".join(f"vm1-{site}" for site in SITES if not scene.found[site])
        return judged(False, f"no WireGuard device with a peer in {absent_at}")
    start_s = time.monotonic()
    while time.monotonic() - start_s < limit_s:
        for site in SITES:
            scene.send(site, new_canary(), count=1, wait_s=0.2)
        peers = [scene.tunnels[site].peer() for site in SITES]
        if all(peer is not None and peer.latest_handshake for peer in peers):
            seconds = time.monotonic() - start_s
            engines = " and ".join(sorted({scene.tunnels[site].engine for site in SITES}))
            text = f"handshake at both ends after {seconds:.1f} s ({engines})"
            return judged(True, text, seconds=seconds, engine=engines)
    states = [f"vm1-{site}: {scene.tunnels[site].peer()}" for site in SITES]
    return judged(False, f"no handshake within {limit_s:.0f} s", excerpt=states)


def reaches(scene: Scene, check: Check) -> Result:
    """From one PC to the other: requests arrive, wg counts them, and outside they are type 4."""
    site, count = str(check.params["site"]), int(check.params.get("count", 3))
    far, canary = other(site), new_canary()
    before = scene.tunnels[site].peer(), scene.tunnels[far].peer()
    with scene.watching() as watch:
        told = scene.node(f"pc-{site}").act(
            "ping", to=str(scene.site(far).pc), payload=canary.hex(), count=count, size=56
        )
    after = scene.tunnels[site].peer(), scene.tunnels[far].peer()
    sent = after[0].sent - before[0].sent if before[0] and after[0] else 0
    received = after[1].received - before[1].received if before[1] and after[1] else 0
    way = (f"lan-{site}", f"inner-{site}", f"inner-{far}", f"lan-{far}")
    source = scene.site(site).pc
    seen = {name: sum(f.source == source for f in watch.hits(name, canary)) for name in way}
    data = scene.wireguard(watch.frames("outer"), WG_DATA, source=scene.site(site).outer)
    payload = count * (56 + _INNER_OVERHEAD_BYTES)
    arrived = min(seen[f"lan-{far}"], count)
    ok = arrived == count and data >= count and min(sent, received) >= payload
    text = (
        f"{arrived}/{count} arrived, {told['answered']}/{count} answered; outside {data} frames of type 4; "
        f"wg counted {sent} bytes out of vm1-{site} and {received} into vm1-{far} (payload {payload})"
    )
    if not ok:
        text += "; seen " + ", ".join(f"{name} {number}" for name, number in seen.items())
    return judged(ok, text, arrived=arrived, answered=told["answered"], type4=data, sent=sent)


def handshake(scene: Scene, check: Check) -> Result:
    """One side alone begins, the other can only answer: what NAT keeps of before is forgotten first."""
    site = str(check.params["site"])
    far = other(site)
    for each in SITES:
        scene.tunnels[each].remove_peer()
    scene.forget_connections()
    scene.tunnels[far].answer_only()
    with scene.watching() as watch:
        # A keepalive begins it: PCs and red have no part in this.
        scene.tunnels[site].begin_only()
        time.sleep(0.3)
    outer = watch.frames("outer")
    begun = scene.wireguard(outer, WG_INITIATION, source=scene.site(site).outer)
    answered = scene.wireguard(outer, WG_RESPONSE, source=scene.site(far).outer)
    peer = scene.tunnels[site].peer()
    scene.restore_tunnels()
    scene.recover()
    ok = bool(begun and answered and peer and peer.latest_handshake)
    inside = scene.wireguard(watch.frames(f"inner-{far}"), WG_INITIATION)
    done = "a session" if peer and peer.latest_handshake else "no session"
    text = (
        f"vm1-{site} began ({begun} of type 1 outside, {inside} on inner-{far}), vm1-{far} answered "
        f"({answered} of type 2 outside): {done}"
    )
    return judged(ok, text, initiations=begun, responses=answered)


def split(scene: Scene, check: Check) -> Result:
    """The Internet is answered beside the tunnel, under black's own address."""
    return together({f"site {site}": _split(scene, site) for site in SITES})


def _split(scene: Scene, site: str) -> Result:
    canary, web = new_canary(), str(scene.description.outer.web)
    before = scene.tunnels[site].peer()
    with scene.watching() as watch:
        told = scene.send(site, canary, to=web, wait_s=0.8)
    after = scene.tunnels[site].peer()
    frames = watch.hits("outer", canary)
    own = [frame for frame in frames if frame.source == scene.site(site).outer]
    others = {str(f.source) for f in frames} - {str(scene.site(site).outer), web}
    through = (after.sent - before.sent) if before and after else 0
    ok = told["answered"] == 3 and len(own) >= 3 and not others and through < 3 * _MESSAGE_BYTES
    text = f"{told['answered']}/3 answered by {web}; {len(own)} frames outside from {scene.site(site).outer}"
    if others:
        text += f", others from {', '.join(sorted(others))}"
    return judged(ok, f"{text}; {through} bytes meanwhile through the tunnel", answered=told["answered"])


def dns(scene: Scene, check: Check) -> Result:
    """An internal name asked of each configured resolver is not seen outside."""
    return together({f"pc-{site}": _dns(scene, site) for site in SITES})


def _dns(scene: Scene, site: str) -> Result:
    text = scene.node(f"pc-{site}").run("cat /run/resolv.conf 2>/dev/null || true")
    resolvers = [line.split()[1] for line in text.splitlines() if line.startswith("nameserver ")]
    if not resolvers:
        return judged(False, "no resolver is configured")
    label = f"x{new_canary().hex()[:20]}"
    control = new_canary()
    with scene.watching() as watch:
        told = [
            scene.node(f"pc-{site}").act("udp", to=each, port=DNS_PORT, payload=_query(label), count=2)
            for each in resolvers
        ]
        scene.send(site, control, to=str(scene.description.outer.web), port=DNS_PORT, count=1, wait_s=0.2)
    outside = watch.hits("outer", label.encode())
    seen = absent(
        "frames outside that show the internal name",
        len(outside),
        [
            Control("on the PC's segment", len(watch.hits(f"lan-{site}", label.encode()))),
            Control("Internet query seen outside", len(watch.hits("outer", control))),
        ],
        losses=watch.losses,
        excerpt=[frame.describe() for frame in outside[:4]],
    )
    silent = [name for name, answer in zip(resolvers, told, strict=True) if not answer["answered"]]
    answered = judged(not silent, f"resolvers {', '.join(resolvers)}; silent: {', '.join(silent) or 'none'}")
    return first_failure(seen, answered)


def _query(label: str) -> str:
    """Return a DNS question for LABEL.internal, A, as hex (RFC 1035, 4.1)."""
    name = b"".join(bytes([len(part)]) + part.encode() for part in (label, "internal"))
    return (b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0" + name + b"\0\0\x01\0\x01").hex()


def rate(scene: Scene, check: Check) -> Result:
    """How fast it is, by the receiver's count: through the tunnel both ways, and beside it."""
    if not scene.node("pc-a").tries("command -v iperf3"):
        return skipped("iperf3 is not installed: apt install iperf3")
    # iperf3 takes whole seconds, and 0 for endless.
    seconds, least = max(1, int(check.params.get("seconds", 1))), float(check.params.get("least_mbit", 1))
    pcs = {site: str(scene.site(site).pc) for site in SITES}
    ways = {
        "a-b": ("pc-a", "pc-b", pcs["b"]),
        "b-a": ("pc-b", "pc-a", pcs["a"]),
        "a-internet": ("pc-a", "internet", str(scene.description.outer.web)),
    }
    moved = {name: _iperf(scene, *way, seconds) for name, way in ways.items()}
    rates = {name: None if told is None else told.mbit_s for name, told in moved.items()}
    slow = [name for name, rate in rates.items() if rate is None or rate < least]
    text = ", ".join(f"{name} {_rate(rate)}" for name, rate in rates.items())
    lines = [f"{name}, receiver: {told}" for name, told in moved.items() if told is not None]
    return judged(not slow, f"{text} (at least {least:g})", excerpt=lines, mbit_s=rates)


def _rate(rate: float | None) -> str:
    return "not observed" if rate is None else f"{rate:.0f} Mbit/s"


@dataclass(frozen=True, slots=True)
class Moved:
    """What the receiver of a TCP stream counted; `again` are the segments that were sent again."""

    size: int
    seconds: float
    again: int

    @property
    def mbit_s(self) -> float:
        """The rate in Mbit/s."""
        return self.size * 8 / 1e6 / self.seconds

    def __str__(self) -> str:
        return f"{self.size} bytes in {self.seconds:.2f} s; {self.again} segments sent again"


def _iperf(scene: Scene, client: str, server: str, address: str, seconds: int) -> Moved | None:
    """Return what the receiver counted, None where it did not come to a figure."""
    scene.node(server).run(f"iperf3 -s -1 -D -B {address}")
    command = f"iperf3 -c {address} -t {seconds} -i 0 -J"
    done = scene.node(client).act("run", script=command, timeout_s=seconds + 10)
    return read_iperf(done["out"])


def read_iperf(text: str) -> Moved | None:
    """Return the receiver's count of `iperf3 -J`, None where there is none."""
    try:
        end = json.loads(text)["end"]
        told = end["sum_received"]
        moved = Moved(int(told["bytes"]), float(told["seconds"]), int(end["sum_sent"].get("retransmits", 0)))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return moved if moved.size > 0 and moved.seconds > 0 else None
