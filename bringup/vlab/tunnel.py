"""WireGuard in a node: the kernel's where it is there, else wireguard-go; brought up, taken down, asked."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from bringup.base.program import run_program
from bringup.vlab.description import Description
from bringup.vlab.nodes import Actor

_DEVICE = "wg0"
_KEEPALIVE_S = 25
_ENDS = (
    "set -e\n"
    "if ! ip link add wg0 type wireguard 2>/dev/null; then\n"
    "  LOG_LEVEL=error wireguard-go wg0 >/run/wireguard-go.log 2>&1\n"
    "fi\n"
)


@dataclass(frozen=True, slots=True)
class Keys:
    """A key pair, made for one lab."""

    private: str
    public: str


def new_keys() -> Keys:
    """Make a key pair; raises MissingProgramError without `wg`."""
    private = run_program(["wg", "genkey"], "wireguard-tools", timeout_s=5).decode().strip()
    public = run_program(["wg", "pubkey"], "wireguard-tools", timeout_s=5, data=private.encode())
    return Keys(private, public.decode().strip())


@dataclass(frozen=True, slots=True)
class PeerState:
    """What `wg show` says of the one peer; `latest_handshake` is seconds since the epoch, 0: none yet."""

    key: str
    endpoint: str
    latest_handshake: int
    received: int
    sent: int
    allowed_ips: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A tunnel as it was found: what `restore` makes again."""

    config: str
    mtu: int
    addresses: tuple[str, ...]
    routes: tuple[str, ...]
    peer: PeerState


class Tunnel:
    """One end of the tunnel, in the node of `agent`. Checks break it; `restore` makes it what it was."""

    def __init__(self, description: Description, site: str, agent: Actor) -> None:
        self.description, self.site, self.agent = description, site, agent
        self._found: Snapshot | None = None

    @property
    def engine(self) -> str:
        """Which WireGuard it is: `kernel` or `wireguard-go`."""
        return "wireguard-go" if self.agent.tries("test -S /run/wireguard/wg0.sock") else "kernel"

    def make(self, config: str) -> None:
        """Make the device, with keys, address and the routes of its AllowedIPs; raises LabError."""
        tunnel = self.description.tunnel
        address = f"{self.description.sites[self.site].tunnel}/{tunnel.network.prefixlen}"
        route = f"{self.description.peer(self.site).lan} dev {_DEVICE}"
        self._make(config, tunnel.mtu, (address,), (route,))

    def _make(self, config: str, mtu: int, addresses: Sequence[str], routes: Sequence[str]) -> None:
        lines = [_ENDS, f"printf %s {shlex.quote(config)} | wg setconf {_DEVICE} /dev/stdin"]
        lines += [f"ip address add {address} dev {_DEVICE}" for address in addresses]
        lines += [f"ip link set {_DEVICE} mtu {mtu} up"]
        lines += [f"ip route replace {route}" for route in routes]
        self.agent.run("\n".join(lines))

    def snapshot(self) -> Snapshot | None:
        """Remember the tunnel as it is; None where there is no device with a peer."""
        peer = self.peer()
        if peer is None:
            return None
        link = json.loads(self.agent.run(f"ip -j address show dev {_DEVICE}"))[0]
        self._found = Snapshot(
            self.agent.run(f"wg showconf {_DEVICE}"),
            link["mtu"],
            tuple(
                f"{each['local']}/{each['prefixlen']}"
                for each in link["addr_info"]
                if each["family"] == "inet"
            ),
            # The kernel makes the address's own again.
            tuple(
                f"{line.strip()} dev {_DEVICE}"
                for line in self.agent.run(f"ip route show dev {_DEVICE}").splitlines()
                if "proto kernel" not in line
            ),
            peer,
        )
        return self._found

    @property
    def found(self) -> Snapshot:
        """The tunnel as it was found."""
        assert self._found is not None, "no snapshot was taken"  # noqa: S101
        return self._found

    def restore(self) -> None:
        """Make the tunnel what it was, with no session left; the next packet begins one."""
        found = self.found
        if not self.agent.tries(f"ip link show {_DEVICE}"):
            self._make(found.config, found.mtu, found.addresses, found.routes)
            return
        lines = ["set -e", self.remove_script(), f"ip link set {_DEVICE} up"]
        lines += [f"printf %s {shlex.quote(found.config)} | wg setconf {_DEVICE} /dev/stdin"]
        lines += [f"ip route replace {route}" for route in found.routes]
        self.agent.run("\n".join(lines))

    def link_down(self) -> None:
        """Take the device down: its routes go with it."""
        self.agent.run(f"ip link set {_DEVICE} down")

    def destroy(self) -> None:
        """Remove the device, as when the process dies or the module is absent."""
        self.agent.run(f"ip link delete {_DEVICE}")

    def remove_peer(self) -> None:
        """Forget the peer and its sessions; the routes stay."""
        self.agent.run(self.remove_script())

    def answer_only(self) -> None:
        """Begin anew with a peer whose place is not known: this end can only answer."""
        self._again([], keepalive_s=0)

    def begin_only(self) -> None:
        """Begin anew at once, with a first keepalive, whatever the peer does."""
        self._again(["endpoint", self.found.peer.endpoint], keepalive_s=_KEEPALIVE_S)

    def _again(self, endpoint: Sequence[str], *, keepalive_s: int) -> None:
        peer = self.found.peer
        words = ["wg", "set", _DEVICE, "peer", peer.key, *endpoint]
        words += ["persistent-keepalive", str(keepalive_s)]
        self.agent.run(f"{self.remove_script()}; {shlex.join([*words, 'allowed-ips', peer.allowed_ips])}")

    def say_nothing(self) -> None:
        """Send no keepalives by itself; the session, and what the peer said last, stay."""
        self.agent.run(f"wg set {_DEVICE} peer {self.found.peer.key} persistent-keepalive 0")

    def remove_script(self) -> str:
        """Return what removes every peer."""
        return f"for k in $(wg show {_DEVICE} peers); do wg set {_DEVICE} peer $k remove; done"

    def set_private_key(self, key: str) -> None:
        """Give this end another private key."""
        self.agent.run(f"printf %s {shlex.quote(key)} | wg set {_DEVICE} private-key /dev/stdin")

    def peer(self) -> PeerState | None:
        """Return the peer's state, None without a device or a peer."""
        done = self.agent.act("run", script=f"wg show {_DEVICE} dump")
        rows = [line.split("\t") for line in str(done["out"]).splitlines()[1:]]
        if done["code"] != 0 or not rows:
            return None
        key, _psk, endpoint, allowed, handshake, received, sent, _keepalive = rows[0]
        return PeerState(key, endpoint, int(handshake), int(received), int(sent), allowed)
