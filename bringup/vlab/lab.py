"""A running lab: made from a description, with the generated rules or a person's own, and ended again."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bringup.base.errors import LabError, UsageError
from bringup.base.paths import home_runtime_dir
from bringup.base.whole_file import whole_file
from bringup.vlab.description import Description, Node, load_description, other
from bringup.vlab.guests import GuestAgent, GuestImage, are_guests
from bringup.vlab.host import Keeper, Namespaces, run_in
from bringup.vlab.nodes import Actor, Agent, Recorder, record_on
from bringup.vlab.programs import require
from bringup.vlab.scripts import Backend, node_script, tunnel_config
from bringup.vlab.tunnel import Keys, Tunnel, new_keys
from bringup.vlab.wiring import furnish_script, wire_script

# Of every segment, for a lab that is left up: the file before this one is kept as well.
_KEPT_BYTES = 32 << 20
_VERIFY_BYTES = 1 << 30
CONFIG_PATH = "/run/wg0.conf"
"""Where vm1 of each site finds its tunnel's configuration, in the form of `wg setconf`."""
_USUAL = ("unshare", "nsenter", "mount", "hostname", "ip", "ethtool", "wg", "wireguard-go")
_OF_BACKEND = {"nftables": ("nft",), "iptables": ("iptables",)}


@dataclass(frozen=True)
class LabRequest:
    """What lab to make. `rules` is a folder of a person's own scripts, `NODE.sh`, run instead of ours.

    `guests`: the VMs are QEMU guests of this image, not namespaces.
    """

    description: Description
    backend: Backend = "nftables"
    rules: Path | None = None
    guests: GuestImage | None = None

    @classmethod
    def of(
        cls,
        description: Path | None = None,
        backend: Backend = "nftables",
        rules: Path | None = None,
        guests: GuestImage | None = None,
    ) -> LabRequest:
        """Read what a person named; raises UsageError and ProfileError."""
        found = load_description(description)
        if rules is not None:
            names = {f"{node.name}.sh" for node in found.nodes()}
            if not rules.is_dir():
                raise UsageError(f"{rules} is not a folder", hint="bringup vlab export FOLDER makes one")
            theirs = {path.name for path in rules.glob("*.sh")}
            if not theirs & names:
                raise UsageError(
                    f"{rules} has none of {', '.join(sorted(names))}",
                    hint=f"bringup vlab export {rules} writes them, to be changed",
                )
        return cls(found, backend, rules, guests)

    def script(self, node: Node) -> str:
        """Return what makes a node forward and filter: a person's own script where there is one."""
        own = None if self.rules is None else self.rules / f"{node.name}.sh"
        if own is not None and own.is_file():
            return own.read_text(encoding="utf-8", errors="replace")
        return node_script(self.description, node, self.backend)

    def require_programs(self) -> None:
        """Raise MissingProgramError for what is absent."""
        own = ("nft", "iptables") if self.rules is not None else _OF_BACKEND[self.backend]
        require((*_USUAL, *own, *(("qemu-system-x86_64",) if self.guests else ())))


class VirtualLab:
    """A lab that is up: `start` makes it, `close` ends it, `release` leaves it up."""

    def __init__(self, request: LabRequest, namespaces: Namespaces, keys: dict[str, Keys]) -> None:
        self.description = request.description
        self.request = request
        self.namespaces = namespaces
        self.keys = keys
        self._agents: dict[str, Actor] = {}
        self._keeper: Keeper | None = None
        self.recorder: Recorder | None = None

    @classmethod
    def start(cls, request: LabRequest, captures: Path, *, tied: bool = True) -> VirtualLab:
        """Make a lab, its segments recorded into `captures`.

        Raises NamespaceError, MissingProgramError and LabError; then there is none.
        """
        request.require_programs()
        nodes = request.description.nodes()
        keys = {site: new_keys() for site in ("a", "b")}
        guests = are_guests(nodes, request.guests)
        keeper = Keeper([node.name for node in nodes if node not in guests], tied=tied)
        lab = cls(request, keeper.namespaces, keys)
        lab._keeper = keeper
        try:
            run_in(lab.namespaces, None, wire_script(request.description, lab.namespaces.inner_pids()))
            segments = request.description.segments
            if tied:
                lab.recorder = Recorder(lab.namespaces, captures, segments, _VERIFY_BYTES)
            else:
                record_on(lab.namespaces, captures, segments, _KEPT_BYTES)
            lab._boot(guests, captures)
            lab._furnish(nodes)
        except BaseException:
            lab.close()
            raise
        return lab

    def _boot(self, nodes: Sequence[Node], logs: Path) -> None:
        """Boot the guests, all at once, and return when all are there; raises LabError."""
        if self.request.guests is None:
            return
        folder = guests_folder(self.namespaces)
        folder.mkdir(parents=True, exist_ok=True)
        started = []
        for node in nodes:
            guest = GuestAgent(self.namespaces, node, self.request.guests, folder, logs)
            self._agents[node.name] = guest
            started.append(guest)
        for guest in started:
            try:
                guest.wait_ready()
            except LabError as error:
                raise LabError(
                    error.message, hint=f"its console is in {logs}/guest-{guest.node}.log"
                ) from None

    def _furnish(self, nodes: Iterable[Node]) -> None:
        for node in nodes:
            self.agent(node.name).run(furnish_script(self.description, node))
        for site in ("a", "b"):
            # Where a person's own script finds it, if that makes the tunnel itself.
            config = shlex.quote(self.tunnel_config(site))
            self.agent(f"vm1-{site}").run(f"umask 077; printf %s {config} > {CONFIG_PATH}")
        for node in nodes:
            script = self.request.script(node)
            try:
                self.agent(node.name).run(script, timeout_s=20)
            except LabError as error:
                theirs = self.request.rules is not None and (self.request.rules / f"{node.name}.sh").is_file()
                hint = f"it is the script {self.request.rules}/{node.name}.sh that failed" if theirs else None
                raise LabError(error.message, hint=hint) from None
        for site in ("a", "b"):
            tunnel = self.tunnel(site)
            if not tunnel.agent.tries("ip link show wg0"):
                tunnel.make(self.tunnel_config(site))

    def agent(self, node: str) -> Actor:
        """Return the agent of a node, started when first asked for."""
        if node not in self._agents:
            self.description.node(node)
            self._agents[node] = Agent(self.namespaces, node)
        return self._agents[node]

    def tunnel_config(self, site: str) -> str:
        """Return the configuration of a site's end; it holds the private key."""
        own, peer = self.keys[site], self.keys[other(site)]
        return tunnel_config(self.description, site, own.private, peer.public)

    def tunnel(self, site: str) -> Tunnel:
        """Return one end of the tunnel."""
        return Tunnel(self.description, site, self.agent(f"vm1-{site}"))

    @cached_property
    def switch(self) -> Actor:
        """The agent of where the segments are."""
        agent = Agent(self.namespaces, None)
        self._agents["switch"] = agent
        return agent

    @cached_property
    def macs(self) -> dict[tuple[str, str], str]:
        """The hardware address of each card, by node and card."""
        found = {}
        for node in self.description.nodes():
            told = json.loads(self.agent(node.name).run("ip -j link show"))
            found.update({(node.name, link["ifname"]): link.get("address", "") for link in told})
        return found

    def release(self, captures: Path) -> None:
        """Leave the lab up and write down how to find it."""
        assert self._keeper is not None  # noqa: S101
        for agent in self._agents.values():
            agent.close()
        body = {
            "namespaces": asdict(self.namespaces),
            "captures": str(captures),
            "title": self.description.title,
            "backend": self.request.backend,
            "rules": None if self.request.rules is None else str(self.request.rules.resolve()),
            "guests": sorted(set(self._agents) - set(self.namespaces.holders) - {"switch"}),
            "description": json.loads(self.description.model_dump_json()),
        }
        with whole_file(lab_file(), lasting=False) as file:
            file.write(json.dumps(body).encode())
        self._keeper.release()

    def close(self) -> None:
        """End the lab and everything in it."""
        if self.recorder is not None:
            self.recorder.close()
        if self._keeper is not None:
            self._keeper.close()
        for agent in self._agents.values():
            agent.close()
        if self.request.guests is not None:
            shutil.rmtree(guests_folder(self.namespaces), ignore_errors=True)

    def __enter__(self) -> VirtualLab:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def lab_file() -> Path:
    """Return where the lab that is left up is written down; there is one at a time."""
    return home_runtime_dir() / "vlab.json"


def guests_folder(namespaces: Namespaces) -> Path:
    """Return where the guests of a lab are spoken to."""
    return home_runtime_dir() / f"vlab-guests-{namespaces.init_pid}"


@dataclass(frozen=True)
class LabInfo:
    """A lab that was left up, as it was written down."""

    namespaces: Namespaces
    captures: Path
    description: Description
    body: dict[str, Any]

    @property
    def guests(self) -> tuple[str, ...]:
        """The nodes that are QEMU guests."""
        return tuple(self.body.get("guests", ()))


def find_lab() -> LabInfo | None:
    """Return the lab that is up, None where there is none."""
    try:
        body = json.loads(lab_file().read_text(encoding="utf-8"))
        namespaces = Namespaces(**body["namespaces"])
        description = Description.model_validate(body["description"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
    if not namespaces.alive():
        return None
    return LabInfo(namespaces, Path(body["captures"]), description, body)


def end_lab() -> bool:
    """End the lab that was left up; returns whether there was one."""
    info = find_lab()
    if info is not None:
        info.namespaces.end()
        shutil.rmtree(guests_folder(info.namespaces), ignore_errors=True)
    lab_file().unlink(missing_ok=True)
    return info is not None
