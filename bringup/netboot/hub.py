"""Every boot of one interface in one process: who has joined, what is served to whom, who hears of it.

A boot joins with its network, and is told the port of HTTP, which its scripts have to name; then it says what
it serves, and from then on its events come back to it alone. Changes are made one at a time.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from typing import Any

from bringup.base.child import READY
from bringup.base.errors import BmcBusyError, BringupError, LabError, PortBusyError, ProfileError
from bringup.base.events import Event
from bringup.lab.network import HTTP_PORT
from bringup.netboot.catalog import Catalog, Descriptor, Held
from bringup.netboot.clients import Client, UnderBoot
from bringup.netboot.dhcp import dnsmasq_config
from bringup.netboot.dnsmasq import DnsmasqProcess
from bringup.netboot.http import HttpService
from bringup.netboot.policy import ARCHITECTURES
from bringup.netboot.rendezvous import Peer, peer_of
from bringup.netboot.router import Router
from bringup.netboot.scout import Scout, Watched
from bringup.netboot.spec import Segment, ServeSpec
from bringup.netboot.tftp import TftpThread
from bringup.netboot.upload import Receiver
from bringup.netboot.visits import Usher
from bringup.netboot.wire import Wire

BOOTS_MAX = 256
_TOLD_MAX = 200
# What anybody on the network can make happen as often as they like.
_BOUNDED = ("dhcp.ignored", "dhcp.rival", "http.error", "tftp.error")


class Hub:
    """The boots that have met; in a running loop. `ended` is set when nobody needs the process any more."""

    def __init__(self, lock: int) -> None:
        self.ended = asyncio.Event()
        self.under_boot = UnderBoot()
        self._lock_descriptor = lock
        self._boots: list[Boot] = []
        self._sites: dict[tuple[str, int | None, int], _Site] = {}
        self._dnsmasq: DnsmasqProcess | None = None
        self._router: Router | None = None
        self._scout: Scout | None = None
        self._changing = asyncio.Lock()
        self._dhcp = Gathered(self._serve_dhcp, self._changing)
        self._tasks: set[asyncio.Task[None]] = set()

    def meet(self, sock: socket.socket) -> None:
        """Take a boot that has come."""
        peer = peer_of(sock)
        boot = Boot(self, sock, peer)
        self._boots.append(boot)
        if not peer.is_trusted or len(self._boots) > BOOTS_MAX:
            boot.refuse(_not_together(peer))

    def end_if_idle(self) -> None:
        """End when nobody is there."""
        if not self._boots:
            self.ended.set()

    async def close(self) -> None:
        """Stop everything; what boots are left are told by the end of their connections."""
        async with self._changing:
            for helper in (self._router, self._scout):
                if helper is not None:
                    helper.close()
            for site in self._sites.values():
                await site.close()
            if self._dnsmasq is not None:
                await self._dnsmasq.close()
            for boot in list(self._boots):
                boot.wire.close()

    def start(self, work: Any) -> None:
        """Run a coroutine of one boot."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def join(self, boot: Boot, segment: Segment) -> int:
        """Let a boot in and return the port of HTTP; raises LabError or ProfileError when it does not fit."""
        async with self._changing:
            others = [each for each in self._boots if each.segment is not None and each is not boot]
            for other in others:
                assert other.segment is not None  # noqa: S101
                check_together(segment, other.segment, other.peer)
            key = (segment.server_ip, segment.http_port, segment.tftp_port)
            if key not in self._sites:
                self._sites[key] = await _Site.open(self.under_boot, *key)
            boot.segment = segment
            return self._sites[key].http.port

    async def serve(
        self,
        boot: Boot,
        spec: ServeSpec,
        files: Sequence[Held],
        receiver: Receiver | None,
        usher: Usher | None,
    ) -> None:
        """Serve a boot that has joined; raises BringupError, and then it is not served."""
        segment = spec.segment
        catalog = Catalog(files)
        client = Client(segment.macs, segment.board_address, catalog, boot.tell, receiver, usher)
        boot.spec, boot.client = spec, client
        self.under_boot.add(client)
        try:
            await self._dhcp.brought_up_to_date()
        except BringupError:
            self.under_boot.remove(client)
            boot.spec = boot.client = None
            raise
        if segment.own_segment and self._router is None and not self.ended.is_set():
            self._router = Router(segment.interface, self._is_under_boot)

    def look(self, boot: Boot, spec: ServeSpec) -> None:
        """Watch the segment for a boot that is served, too."""
        segment = spec.segment
        if self._scout is None:
            self._scout = Scout(segment.interface, self._watched, self._scouted)
            self._scout.let_in([mac for client in self.under_boot.clients for mac in client.macs])
        if self._scout.carrier is not None:
            boot.tell(self._scout.link_event(self._scout.carrier))
        self._scout.search(ARCHITECTURES[spec.route.firmware][0])

    def _watched(self) -> Watched:
        segments = [boot.segment for boot in self._boots if boot.segment is not None]
        own_segment = any(segment.own_segment for segment in segments)
        return Watched(own_segment, frozenset(segment.server_ip for segment in segments))

    def _scouted(self, event: Event, mac: str | None) -> None:
        """Tell what was seen on the segment: of a board its boot, of everybody all, of strangers nobody."""
        client = None if mac is None else self.under_boot.with_mac(mac)
        if client is not None:
            client.emit(event)
        elif mac is None:
            self.under_boot.tell(event)

    def leave(self, boot: Boot) -> bool:
        """Forget a boot; returns whether it was the last."""
        if boot in self._boots:
            self._boots.remove(boot)
        if boot.client is not None:
            self.under_boot.remove(boot.client)
        if not self._boots:
            self.ended.set()
            return True
        if boot.segment is not None:
            self.start(self._tidy())
        return False

    async def _tidy(self) -> None:
        """Stop serving what only a boot that has left needed."""
        async with self._changing:
            if self.ended.is_set():
                return
            needed = {
                (each.segment.server_ip, each.segment.http_port, each.segment.tftp_port)
                for each in self._boots
                if each.segment is not None
            }
            for key in [key for key in self._sites if key not in needed]:
                await self._sites.pop(key).close()
        try:
            await self._dhcp.brought_up_to_date()
        except BringupError as error:
            self._lost(error)

    async def _serve_dhcp(self) -> None:
        """Give DHCP the boots there are: the new server answers before the old one stops."""
        if self.ended.is_set():
            return
        specs = [boot.spec for boot in self._boots if boot.spec is not None]
        macs = [mac for spec in specs for mac in spec.segment.macs]
        for site in self._sites.values():
            site.let_in(macs)
        if self._scout is not None:
            self._scout.let_in(macs)
        before = self._dnsmasq
        if not specs:
            self._dnsmasq = None
        else:
            self._dnsmasq = await DnsmasqProcess.start(
                dnsmasq_config(specs), self._heard, self._dnsmasq_lost, self._lock_descriptor
            )
        if before is not None:
            await before.close()

    def _heard(self, event: Event) -> None:
        """Tell what DHCP saw: of a board under boot its boot alone, of strangers all."""
        mac = str(event.data.get("mac", "")).lower()
        if self._scout is not None and mac == self._scout.mac:
            return  # our own search for other servers
        client = self.under_boot.with_mac(mac)
        (self.under_boot.tell if client is None else client.emit)(event)

    def _dnsmasq_lost(self) -> None:
        self._lost(LabError("dnsmasq ended in the middle of a boot", hint="journalctl -k | grep dnsmasq"))

    def _lost(self, error: BringupError) -> None:
        for boot in self._boots:
            boot.say_error(error)
        self.ended.set()

    def _is_under_boot(self, mac: str) -> bool:
        return self.under_boot.with_mac(mac) is not None


class Gathered:
    """A change that takes a while: who asks for it while it is made shares the next one.

    Sixty boots that begin together so cost two or three starts of dnsmasq and not sixty. A change is made
    alone, under `alone`.
    """

    def __init__(self, change: Callable[[], Awaitable[None]], alone: asyncio.Lock) -> None:
        self._change = change
        self._alone = alone
        self._next: asyncio.Task[None] | None = None

    async def brought_up_to_date(self) -> None:
        """Return when a change is made that began after this call; raises what it raises."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._make())
        await asyncio.shield(self._next)

    async def _make(self) -> None:
        async with self._alone:
            self._next = None
            await self._change()


class Boot:
    """One boot: its connection, and what it has said so far."""

    def __init__(self, hub: Hub, sock: socket.socket, peer: Peer) -> None:
        self.peer = peer
        self.segment: Segment | None = None
        self.spec: ServeSpec | None = None
        self.client: Client | None = None
        self._hub = hub
        self._told: Counter[str] = Counter()
        self.wire = Wire(sock, self._heard, self._ended)

    def tell(self, event: Event) -> None:
        """Tell this boot of an event, from any thread; what strangers can cause not without end."""
        if event.kind in _BOUNDED:
            self._told[event.kind] += 1
            if self._told[event.kind] > _TOLD_MAX:
                return
        self.wire.say(event.to_json(origin_s=0.0))

    def say_error(self, error: BringupError) -> None:
        """Say what went wrong."""
        self.wire.say_body({"error": error.to_dict()})

    def refuse(self, error: BringupError) -> None:
        """Say why it is not served, and part."""
        self.say_error(error)
        self._part()

    def _part(self) -> bool:
        last = self._hub.leave(self)
        self.wire.close()
        return last

    def _ended(self) -> None:
        self._hub.leave(self)

    def _heard(self, body: dict[str, Any], files: list[Descriptor]) -> None:
        if "leave" in body:
            last = self._hub.leave(self)
            self.wire.say_body({"left": {"last": last}})
            self.wire.close()
        else:
            self._hub.start(self._take(body, files))

    async def _take(self, body: dict[str, Any], files: list[Descriptor]) -> None:
        try:
            if "join" in body and self.segment is None:
                port = await self._hub.join(self, _segment(body["join"]))
                self.wire.say_body({"joined": {"http_port": port, "pid": os.getpid()}})
            elif "serve" in body and self.segment is not None and self.spec is None:
                spec = ServeSpec.from_json(str(body["serve"]))
                _check_same(spec.segment, self.segment)
                receiver = usher = None
                if spec.visits is not None and files:
                    usher = Usher(spec.visits, files.pop())
                if spec.upload is not None and files:
                    receiver = Receiver(spec.upload, self.tell, files.pop())
                held = _held(spec, body.get("problems"), files)
                await self._hub.serve(self, spec, held, receiver, usher)
                text = "serving DHCP, TFTP and HTTP"
                self.tell(Event("run", READY, text, {"mode": spec.segment.mode}))
                self._hub.look(self, spec)
            else:
                raise ProfileError("not a description of a network boot")
        except BringupError as error:
            self.refuse(error)
        except Exception as error:  # noqa: BLE001  one boot's trouble must not end the others'
            self.refuse(BringupError(f"serving this boot failed: {type(error).__name__}: {error}"))


class _Site:
    """TFTP and HTTP on one address of this host."""

    def __init__(self, http: HttpService, tftp: TftpThread) -> None:
        self.http = http
        self._tftp = tftp

    @classmethod
    async def open(cls, clients: UnderBoot, address: str, http_port: int | None, tftp_port: int) -> _Site:
        """Listen; raises PortBusyError or LabError."""
        http = HttpService(clients, address, HTTP_PORT if http_port is None else http_port)
        try:
            await http.start()
        except PortBusyError:
            if http_port is not None:
                raise
            # A web server of this host has port 80, and the scripts can name any other.
            http = HttpService(clients, address, 0)
            await http.start()
        try:
            return cls(http, TftpThread(clients, address, tftp_port))
        except BringupError:
            await http.stop()
            raise

    def let_in(self, macs: Sequence[str]) -> None:
        """Hear only these MACs, and this host."""
        self._tftp.let_in(macs)
        self.http.door.let_in(macs)

    async def close(self) -> None:
        """Stop both."""
        self._tftp.close()
        await self.http.stop()


def check_together(new: Segment, other: Segment, who: object) -> None:
    """Raise what keeps two boots from one interface (pure); `who` boots the other board."""
    if new.mode != other.mode:
        raise LabError(
            f"{new.interface} is served as {other.mode} to a boot of {who}, not as {new.mode}",
            hint="give both boards one mode in lab.toml, or boot one after the other",
        )
    shared = set(new.macs) & set(other.macs)
    if shared:
        raise BmcBusyError(
            f"a board with the MAC address {min(shared)} is being booted by {who}",
            hint="wait for that boot; a MAC belongs to one board",
        )
    if new.board_address is not None and new.board_address == other.board_address:
        raise ProfileError(
            f"the address {new.board_address} is that of a board that {who} boots",
            hint="give every board of a network a `board_address` of its own in lab.toml",
        )


def _not_together(peer: Peer) -> LabError:
    return LabError(
        f"this interface is served by user id {os.geteuid()}, who does not boot together with {peer}",
        hint="`groupadd bringup` and make both its members, or wait for the other boots to end",
    )


def _segment(body: Any) -> Segment:
    try:
        return Segment(**{**body, "macs": tuple(body["macs"])})
    except (TypeError, KeyError, AttributeError) as error:
        raise ProfileError(f"not a description of a network boot: {type(error).__name__}") from None


def _check_same(said: Segment, joined: Segment) -> None:
    if asdict(said) != {**asdict(joined), "http_port": said.http_port}:
        raise ProfileError("not a description of a network boot: not the network that it joined with")


def _held(spec: ServeSpec, problems: Any, files: Sequence[Descriptor]) -> list[Held]:
    """Return the files with their descriptors, which come in order; `problems` says which have none."""
    said = problems if isinstance(problems, dict) else {}
    if len(files) + len(said) != len(spec.files):
        raise ProfileError("not a description of a network boot: its files did not come")
    left = iter(files)
    return [
        Held(file, None, str(said[file.url_path])) if file.url_path in said else Held(file, next(left))
        for file in spec.files
    ]
