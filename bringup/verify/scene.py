"""What probes of the virtual lab work with: its nodes, a canary of their own, and what was seen meanwhile."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from bringup.base.errors import LabError
from bringup.vlab.agent import DNS_PORT, ECHO_PORT
from bringup.vlab.description import Description, Site, other
from bringup.vlab.frames import Frame, holding
from bringup.vlab.lab import VirtualLab
from bringup.vlab.nodes import Actor, Mark, Recorder
from bringup.vlab.tunnel import Tunnel
from bringup.vlab.wiring import port

SITES = ("a", "b")
CANARY_BYTES = 16
# Frames are on their way through a process in user space for about a millisecond.
_SETTLE_S = 0.15
# A guest whose processor is emulated beside five others takes its time with each.
_GUESTS_SETTLE_S = 1.5
RECOVERY_S = 15.0
_SHUT_S = 2.0

__all__ = ["DNS_PORT", "ECHO_PORT", "SITES", "Scene", "Watch", "new_canary"]


def new_canary() -> bytes:
    """Return bytes that nothing else holds; a fixed word could be there by itself."""
    return os.urandom(CANARY_BYTES)


class Watch:
    """What was seen on the segments from its beginning to `end`."""

    def __init__(self, recorder: Recorder, settle_s: float = _SETTLE_S) -> None:
        self._recorder = recorder
        self._settle_s = settle_s
        self._start = recorder.mark()
        self._end: Mark | None = None

    def end(self) -> None:
        """End it, after what is still on its way has arrived; raises LabError when the recorder is dead."""
        time.sleep(self._settle_s)
        self._end = self._recorder.mark()

    def frames(self, segment: str) -> list[Frame]:
        """Return the frames of a segment."""
        assert self._end is not None, "still watching"  # noqa: S101
        return self._recorder.frames(segment, self._start, self._end)

    def hits(self, segment: str, canary: bytes) -> list[Frame]:
        """Return the frames of a segment that show `canary` in clear."""
        return holding(self.frames(segment), canary)

    @property
    def losses(self) -> int:
        """How many frames were not captured for want of room."""
        assert self._end is not None, "still watching"  # noqa: S101
        return self._end.losses - self._start.losses


class Scene:
    """A lab that is up, its servers started, its tunnel remembered as it was found."""

    def __init__(self, lab: VirtualLab) -> None:
        self.lab = lab
        self.description: Description = lab.description
        assert lab.recorder is not None, "a lab whose segments are not recorded"  # noqa: S101
        self._recorder = lab.recorder
        self._settle_s = _GUESTS_SETTLE_S if lab.request.guests else _SETTLE_S
        self.tunnels: dict[str, Tunnel] = {site: lab.tunnel(site) for site in SITES}
        for site in SITES:
            self.node(f"pc-{site}").act("serve", address=str(self.site(site).pc))
        self.node("internet").act("serve", address=str(self.description.outer.web))
        self._macs = lab.macs
        self.found = {site: self.tunnels[site].snapshot() for site in SITES}

    def node(self, name: str) -> Actor:
        """Return the agent of a node, `switch` for where the segments are."""
        return self.lab.switch if name == "switch" else self.lab.agent(name)

    def site(self, name: str) -> Site:
        """Return a site's addresses."""
        return self.description.sites[name]

    def mac(self, node: str, card: str) -> str:
        """Return the hardware address of a card."""
        return self._macs[node, card]

    @contextmanager
    def watching(self) -> Iterator[Watch]:
        """Watch the segments while the body runs."""
        watch = Watch(self._recorder, self._settle_s)
        yield watch
        watch.end()

    def wireguard(self, frames: Sequence[Frame], *kinds: int, source: IPv4Address | None = None) -> int:
        """Return how many WireGuard messages of these types are among frames."""
        port = self.description.tunnel.port
        return sum(
            frame.wireguard(port) in kinds and (source is None or frame.source == source) for frame in frames
        )

    def send(self, site: str, canary: bytes, *, to: str | None = None, **words: Any) -> dict[str, Any]:
        """Send datagrams with a canary from a site's PC, to the other PC unless told."""
        target = to or str(self.site(other(site)).pc)
        return self.node(f"pc-{site}").act("udp", to=target, payload=canary.hex(), **words)

    @contextmanager
    def losing_outside(self, what: str) -> Iterator[None]:
        """Drop what matches of the tunnel's messages between the sites while the body runs.

        `what` is the end of an nftables rule; everything where it is empty.
        """
        ports = ", ".join(port(f"vm2-{site}", "eth1") for site in SITES)
        match = f"iifname {{ {ports} }} udp dport {self.description.tunnel.port} {what} drop"
        chain = "{ type filter hook forward priority 0; }"
        self.node("switch").run(
            f"set -e; nft add table bridge fault; nft 'add chain bridge fault forward {chain}'; "
            f"nft 'add rule bridge fault forward {match}'"
        )
        try:
            yield
        finally:
            self.node("switch").run("nft delete table bridge fault")

    def recover(self) -> float:
        """Return after how many seconds both ends have a session again, and PCs are heard where they can be.

        Raises LabError when there is no session within `RECOVERY_S`.
        """
        start_s = time.monotonic()
        for site in SITES:
            # Not an answer: that would need both directions. And not for long: a way that is shut stays shut.
            while not self._arrives(site):
                past_s = time.monotonic() - start_s
                if past_s > RECOVERY_S:
                    raise LabError(f"the tunnel did not come back within {RECOVERY_S:.0f} s")
                if past_s > _SHUT_S and self._in_session():
                    break
        return time.monotonic() - start_s

    def _in_session(self) -> bool:
        peers = [self.tunnels[site].peer() for site in SITES]
        return all(peer is not None and peer.latest_handshake for peer in peers)

    def _arrives(self, site: str) -> bool:
        canary = new_canary()
        watch = Watch(self._recorder)
        self.send(site, canary, count=1, wait_s=0.1)
        for _ in range(5):
            watch.end()
            if watch.hits(f"lan-{other(site)}", canary):
                return True
        return False

    def restore_tunnels(self) -> None:
        """Make both ends what they were, with no session and no connection of before left."""
        for site in SITES:
            if self.tunnels[site].peer() is not None:
                self.tunnels[site].remove_peer()
        self.forget_connections()
        for site in SITES:
            self.tunnels[site].restore()

    def forget_connections(self) -> None:
        """Let the firewalls forget what they track: NAT outlives a tunnel, and hides what a rule does."""
        for site in SITES:
            for vm in ("vm1", "vm2"):
                self.node(f"{vm}-{site}").act("flush_connections")

    @contextmanager
    def without_route(self, node: str, to: IPv4Network, *, fallback_too: bool = False) -> Iterator[None]:
        """Take the routes to a network away while the body runs; the unreachable fallback only if asked."""
        agent = self.node(node)
        lines = [line.strip() for line in agent.run(f"ip route show exact {to}").splitlines()]
        taken = [line for line in lines if fallback_too or not line.startswith("unreachable")]
        if not fallback_too:
            taken = [line for line in taken if line]
        for line in taken:
            agent.run(f"ip route delete {line}")
        try:
            yield
        finally:
            for line in taken:
                # With the device its routes may have gone, and come back, by themselves.
                agent.act("run", script=f"ip route replace {line}")

    @contextmanager
    def with_route(self, node: str, route: str) -> Iterator[None]:
        """Add a route while the body runs."""
        self.node(node).run(f"ip route replace {route}")
        try:
            yield
        finally:
            self.node(node).act("run", script=f"ip route delete {route}")

    @contextmanager
    def meanwhile(self, *works: Callable[[], Any]) -> Iterator[list[Any]]:
        """Do works in threads while the body runs; the list holds their results afterwards.

        Raises LabError when one failed.
        """
        results: list[Any] = [None] * len(works)
        errors: list[LabError] = []

        def work(index: int) -> None:
            try:
                results[index] = works[index]()
            except LabError as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(len(works))]
        for thread in threads:
            thread.start()
        with ExitStack() as stack:
            for thread in threads:
                stack.callback(thread.join)
            yield results
        if errors:
            raise errors[0]
