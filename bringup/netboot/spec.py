"""What one network boot serves, to whom and where: plain data that travels to the serving process as JSON.

Everything in a spec is checked when it is made, so that nothing which reaches a configuration file, a loader
script or a socket can carry more than its field's own alphabet.
"""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from bringup.base.errors import ProfileError
from bringup.base.firmware import Firmware

Mode = Literal["own-segment", "proxy"]
Role = Literal["loader", "loader-script", "kernel", "module", "initrd", "other"]
LoaderName = Literal["ipxe", "grub"]
Protocol = Literal["multiboot", "multiboot2", "linux"]
Transport = Literal["http", "tftp"]

# Linux: IFNAMSIZ is 16 with the NUL; the alphabet is narrower than the kernel's on purpose.
_INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}", re.ASCII)
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", re.ASCII)
# DHCP's file field holds 127 characters (RFC 2131), and a URL has to fit with its server's name.
_URL_PATH = re.compile(r"(/[A-Za-z0-9][A-Za-z0-9._+-]*){1,4}", re.ASCII)
_URL_PATH_MAX = 80
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Route:
    """How a board gets from its firmware to the kernel: which loader, which boot protocol, over what."""

    firmware: Firmware
    loader: LoaderName
    protocol: Protocol
    transport: Transport

    @property
    def first_file(self) -> str:
        """Return the URL path of what a firmware without iPXE is given first, by TFTP."""
        if self.loader == "grub":
            return "/core.0" if self.firmware is Firmware.BIOS else "/core.efi"
        return "/undionly.kpxe" if self.firmware is Firmware.BIOS else "/snponly.efi"

    @property
    def script(self) -> str:
        """Return the URL path of the loader's script."""
        return "/grub.cfg" if self.loader == "grub" else "/boot.ipxe"


@dataclass(frozen=True, slots=True)
class ServedFile:
    """One file the board may fetch: where it appears, where it lies here, `size` in bytes."""

    url_path: str
    path: Path
    role: Role
    size: int
    sha256: str | None = None
    changed_ns: int | None = None

    def __post_init__(self) -> None:
        if not _URL_PATH.fullmatch(self.url_path) or len(self.url_path) > _URL_PATH_MAX:
            raise ProfileError(f"not a path that can be served to a board: {self.url_path!r}")
        if self.role not in get_args(Role):
            raise ProfileError(f"not a role of a served file: {self.role!r}")
        if self.size < 0:
            raise ProfileError(f"{self.url_path} cannot have {self.size} bytes")
        if self.sha256 is not None and not _SHA256.fullmatch(self.sha256):
            raise ProfileError(f"the SHA-256 of {self.url_path} is not 64 hexadecimal digits")


@dataclass(frozen=True, slots=True)
class Upload:
    """The one file that the board may send: to a secret `url_path`, at most `limit` bytes, kept as `path`."""

    url_path: str
    path: Path
    limit: int

    def __post_init__(self) -> None:
        if not _URL_PATH.fullmatch(self.url_path) or len(self.url_path) > _URL_PATH_MAX:
            raise ProfileError(f"not a path that a board can send to: {self.url_path!r}")
        if self.limit < 1:
            raise ProfileError(f"a board cannot send at most {self.limit} bytes")


@dataclass(frozen=True, slots=True)
class ServeSpec:
    """One network boot: `files` are all that TFTP and HTTP show, `macs` the only clients that are answered.

    `address` is the server's own with its prefix length, such as `10.55.0.1/24`. On an own segment this
    host is the DHCP server and gives `board_address`; in proxy mode another server gives addresses, and
    nothing but boot file names comes from here. `router_advertisement` answers IPv6 router solicitations, so
    that an iPXE which insists on waiting for them (13 s in the 2019 option ROM) does not; own segment only.
    `upload` is what the board may send, once; without it, nothing.
    """

    interface: str
    address: str
    mode: Mode
    macs: tuple[str, ...]
    board_address: str | None
    files: tuple[ServedFile, ...]
    route: Route
    router_advertisement: bool = False
    http_port: int = 80
    tftp_port: int = 69
    upload: Upload | None = None

    def __post_init__(self) -> None:
        _check_interface(self.interface)
        network = _checked_address(self.address)
        if self.mode not in get_args(Mode):
            raise ProfileError(f"not a mode of DHCP: {self.mode!r}", hint="own-segment or proxy")
        object.__setattr__(self, "macs", _checked_macs(self.macs))
        self._check_board_address(network)
        if self.router_advertisement and self.mode == "proxy":
            raise ProfileError(
                "router advertisements would reach every machine of a shared LAN",
                hint="switch them off, or use an own segment",
            )
        for port in (self.http_port, self.tftp_port):
            if not 1 <= port <= 65535:
                raise ProfileError(f"not a port: {port}")
        self._check_files()

    def _check_board_address(self, server: ipaddress.IPv4Interface) -> None:
        if self.mode == "proxy":
            if self.board_address is not None:
                raise ProfileError(
                    "in proxy mode another DHCP server gives the board its address",
                    hint="leave the board's address out, or use an own segment",
                )
            return
        board = _ipv4(self.board_address or "")
        network = server.network
        if board is None or board not in network or board == server.ip:
            raise ProfileError(
                f"the board needs an address of its own in {network}, not {self.board_address or 'none'}"
            )
        if board in (network.network_address, network.broadcast_address):
            raise ProfileError(f"{board} is not the address of one machine in {network}")

    def _check_files(self) -> None:
        paths = [file.url_path for file in self.files]
        twice = {path for path in paths if paths.count(path) > 1}
        if twice:
            raise ProfileError(f"two files would appear as {min(twice)}")
        if self.upload is not None and self.upload.url_path in paths:
            raise ProfileError(f"{self.upload.url_path} is served and cannot be sent to as well")
        for needed in (self.route.first_file, self.route.script):
            if needed not in paths:
                raise ProfileError(f"the route by {self.route.loader} needs {needed} among the served files")

    @property
    def server_ip(self) -> str:
        """Return the server's address without the prefix length."""
        return str(ipaddress.IPv4Interface(self.address).ip)

    @property
    def base_url(self) -> str:
        """Return the URL that a file's `url_path` is appended to."""
        return http_base(self.address, self.http_port)

    def to_json(self) -> str:
        """Return the spec as one line of JSON."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, line: str) -> ServeSpec:
        """Read what `to_json` wrote; raises ProfileError on anything else."""
        try:
            body: dict[str, Any] = json.loads(line)
            route = body.pop("route")
            files = body.pop("files")
            body["macs"] = tuple(body["macs"])
            upload = body.pop("upload")
            return cls(
                **body,
                upload=upload and Upload(**{**upload, "path": Path(upload["path"])}),
                route=Route(**{**route, "firmware": Firmware(route["firmware"])}),
                files=tuple(ServedFile(**{**file, "path": Path(file["path"])}) for file in files),
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ProfileError(f"not a description of a network boot: {type(error).__name__}") from None


def http_base(address: str, port: int) -> str:
    """Return the URL of the HTTP server on `address` (with or without prefix length), no slash at the end."""
    return f"http://{address.partition('/')[0]}" + ("" if port == 80 else f":{port}")


def _check_interface(name: str) -> None:
    if not _INTERFACE.fullmatch(name):
        raise ProfileError(f"not the name of a network interface: {name!r}")
    if name == "lo":
        raise ProfileError(
            "boards cannot be reached over the loopback interface", hint="name the LAN's interface"
        )


def _checked_address(address: str) -> ipaddress.IPv4Interface:
    try:
        interface = ipaddress.IPv4Interface(address)
    except ValueError:
        interface = None
    if interface is None or "/" not in address or not 8 <= interface.network.prefixlen <= 30:
        raise ProfileError(
            f"not this host's address on the board's segment: {address!r}", hint="as in 10.55.0.1/24"
        )
    return interface


def _ipv4(text: str) -> ipaddress.IPv4Address | None:
    try:
        return ipaddress.IPv4Address(text)
    except ValueError:
        return None


def _checked_macs(macs: tuple[str, ...]) -> tuple[str, ...]:
    clean = tuple(dict.fromkeys(mac.lower().replace("-", ":") for mac in macs))
    if not clean:
        raise ProfileError("no MAC address to answer", hint="name the board's boot port in lab.toml")
    for mac in clean:
        # A group address or all zeros is nobody's; dnsmasq would take the first as a pattern.
        if not _MAC.fullmatch(mac) or int(mac[:2], 16) & 1 or mac == "00:00:00:00:00:00":
            raise ProfileError(f"not the MAC address of a board: {mac!r}", hint="as in ac:1f:6b:0e:30:17")
    return clean
