"""The description of a lab: addresses and roles of two sites, from TOML; which nodes and segments follow.

Roles of a site: `pc` behind `vm0` (red), `vm1` (crypto, ends the tunnel, no network card), `vm2` (black, the
only one outside). All three VMs share one inner segment, as a full mesh of virtual switches makes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from bringup.base.errors import UsageError
from bringup.profile.check import validate
from bringup.profile.toml_lines import read_toml

BUILTIN = Path(__file__).with_name("two-sites.toml")


def _address(text: object) -> IPv4Address:
    return IPv4Address(str(text))


def _network(text: object) -> IPv4Network:
    return IPv4Network(str(text))


Address = Annotated[IPv4Address, BeforeValidator(_address)]
Network = Annotated[IPv4Network, BeforeValidator(_network)]


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Outer(_Model):
    """The segment that everybody may listen on, and who stands there besides the sites."""

    network: Network
    router: Address
    attacker: Address
    web: Address


class Tunnel(_Model):
    """WireGuard between the sites; `private` are networks of which nothing may be seen outside."""

    network: Network
    port: Annotated[int, Field(ge=1, le=65535)] = 51820
    keepalive_s: Annotated[int, Field(ge=0, le=65535)] = 25
    mtu: Annotated[int, Field(ge=576, le=9000)] = 1420
    private: Annotated[tuple[Network, ...], BeforeValidator(tuple), Field(min_length=1)]


class Site(_Model):
    """The addresses of one site."""

    lan: Network
    pc: Address
    gateway: Address
    inner: Network
    red: Address
    crypto: Address
    black: Address
    outer: Address
    tunnel: Address
    resolvers: Annotated[tuple[Address, ...], BeforeValidator(tuple)] = ()

    @model_validator(mode="after")
    def _addresses_lie_inside(self) -> Site:
        for names, network in ((("pc", "gateway"), self.lan), (("red", "crypto", "black"), self.inner)):
            for name in names:
                if getattr(self, name) not in network:
                    raise ValueError(f"{name} {getattr(self, name)} is not in {network}")
        return self


class Description(_Model):
    """One lab: exactly two sites, `a` and `b`."""

    title: str = ""
    outer: Outer
    tunnel: Tunnel
    sites: dict[str, Site]

    @model_validator(mode="after")
    def _two_sites(self) -> Description:
        if sorted(self.sites) != ["a", "b"]:
            raise ValueError("a lab has exactly the sites a and b")
        if self.sites["a"].lan.overlaps(self.sites["b"].lan):
            raise ValueError("the LANs of the two sites overlap: nothing could be routed between them")
        for name, site in self.sites.items():
            if site.outer not in self.outer.network:
                raise ValueError(f"outer {site.outer} of site {name} is not in {self.outer.network}")
            if site.tunnel not in self.tunnel.network:
                raise ValueError(f"tunnel {site.tunnel} of site {name} is not in {self.tunnel.network}")
        return self

    def peer(self, site: str) -> Site:
        """Return the other site."""
        return self.sites[other(site)]

    @property
    def segments(self) -> tuple[str, ...]:
        """The Ethernet segments, from one PC to the other."""
        return ("lan-a", "inner-a", "outer", "inner-b", "lan-b")

    def nodes(self) -> tuple[Node, ...]:
        """Return every node and how it is wired."""
        return (*self._site_nodes("a"), *self._site_nodes("b"), *self._outside())

    def node(self, name: str) -> Node:
        """Return one node; raises UsageError naming those there are."""
        for node in self.nodes():
            if node.name == name:
                return node
        names = ", ".join(node.name for node in self.nodes())
        raise UsageError(f"no node {name} in this lab", hint=f"there are {names}")

    def _site_nodes(self, site: str) -> Iterator[Node]:
        has = self.sites[site]
        lan, inner = f"lan-{site}", f"inner-{site}"
        yield Node(f"pc-{site}", (Link("eth0", lan, has.pc, has.lan),))
        # Of a VM eth0 is the virtual card on the inner segment, eth1 the one that is passed through.
        red = Link("eth0", inner, has.red, has.inner)
        yield Node(f"vm0-{site}", (red, Link("eth1", lan, has.gateway, has.lan)))
        yield Node(f"vm1-{site}", (Link("eth0", inner, has.crypto, has.inner),))
        black = Link("eth0", inner, has.black, has.inner)
        yield Node(f"vm2-{site}", (black, Link("eth1", "outer", has.outer, self.outer.network)))

    def _outside(self) -> Iterator[Node]:
        network = self.outer.network
        yield Node("internet", (Link("eth0", "outer", self.outer.router, network),))
        yield Node("attacker", (Link("eth0", "outer", self.outer.attacker, network),))


@dataclass(frozen=True, slots=True)
class Link:
    """One card of a node: its name there, the segment it is on, its address."""

    name: str
    segment: str
    address: IPv4Address
    network: IPv4Network

    @property
    def with_prefix(self) -> str:
        """The address as `ip address add` takes it."""
        return f"{self.address}/{self.network.prefixlen}"


@dataclass(frozen=True, slots=True)
class Node:
    """One machine of the lab; `role` is pc, vm0, vm1, vm2, internet or attacker, `site` a, b or empty."""

    name: str
    links: tuple[Link, ...]

    @property
    def role(self) -> str:
        """What it is for."""
        return self.name.partition("-")[0]

    @property
    def site(self) -> str:
        """Where it stands, empty outside."""
        return self.name.partition("-")[2]


def other(site: str) -> str:
    """Return the name of the other site."""
    return "b" if site == "a" else "a"


def load_description(path: Path | None = None) -> Description:
    """Read a description, the built-in one if none is named; raises ProfileError (FILE:LINE), UsageError."""
    try:
        document = read_toml(path or BUILTIN)
    except FileNotFoundError:
        raise UsageError(f"no such file: {path}", hint=f"copy {BUILTIN} and change it") from None
    return validate(Description, document.data, [document])
