"""What one network boot serves, to whom and where: plain data that travels to the serving process as JSON.

Everything in a spec is checked when it is made, so that nothing which reaches a configuration file, a loader
script or a socket can carry more than its field's own alphabet.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from bringup.base.errors import ProfileError
from bringup.base.firmware import Firmware, LoaderName
from bringup.lab.network import HTTP_PORT, Network, mac_address

# A boot image is one file with kernel and modules in it, and with the loader that starts them.
Role = Literal["loader", "loader-script", "kernel", "module", "initrd", "boot-image", "other"]
Starter = Literal["ipxe", "grub"]
Protocol = Literal["multiboot", "multiboot2", "linux"]
Transport = Literal["http", "tftp"]

BOOT_IMAGE = "/boot.efi"

# DHCP's file field holds 127 characters (RFC 2131), and a URL has to fit with its server's name.
_URL_PATH = re.compile(r"(/[A-Za-z0-9][A-Za-z0-9._+-]*){1,4}", re.ASCII)
_URL_PATH_MAX = 80
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Route:
    """How a board gets from its firmware to the kernel: which loader, which boot protocol, over what.

    `why` says why it is this loader, where there was a choice.
    """

    firmware: Firmware
    loader: LoaderName
    protocol: Protocol
    transport: Transport
    why: str = ""

    @property
    def first_file(self) -> str:
        """Return the URL path of what a firmware without iPXE is given first, by TFTP."""
        if self.loader == "efi-tftp":
            return BOOT_IMAGE
        if self.loader == "grub":
            return "/core.0" if self.firmware is Firmware.BIOS else "/core.efi"
        return "/undionly.kpxe" if self.firmware is Firmware.BIOS else "/snponly.efi"

    @property
    def script(self) -> str | None:
        """Return the URL path of the loader's script, None where it is in the boot image."""
        if self.loader == "efi-tftp":
            return None
        return "/grub.cfg" if self.loader == "grub" else "/boot.ipxe"

    @property
    def one_file(self) -> bool:
        """Whether kernel and modules travel as one boot image."""
        return self.loader in ("efi", "efi-tftp")

    @property
    def starter(self) -> Starter:
        """Return the program that starts the kernel, and takes its command line."""
        return "ipxe" if self.loader == "ipxe" else "grub"

    @property
    def needed(self) -> tuple[str, ...]:
        """Return the URL paths without which this route leads nowhere."""
        paths = (self.first_file, self.script, BOOT_IMAGE if self.one_file else None)
        return tuple(dict.fromkeys(path for path in paths if path is not None))


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
class Visits:
    """Requests that a boot answers itself: connections whose first request is below the secret `url_path`.

    `descriptor` is where it wants them, a number of its own process (`visits.py`).
    """

    url_path: str
    descriptor: int

    def __post_init__(self) -> None:
        if not _URL_PATH.fullmatch(self.url_path) or len(self.url_path) > _URL_PATH_MAX:
            raise ProfileError(f"not a path that a board can ask at: {self.url_path!r}")


@dataclass(frozen=True, slots=True)
class Segment(Network):
    """The network of one boot; `macs` are the only clients that are answered there."""

    macs: tuple[str, ...]

    def __post_init__(self) -> None:
        Network.__post_init__(self)
        if self.interface == "lo":
            raise ProfileError(
                "no board can be served over the loopback interface",
                hint="name the LAN's interface in lab.toml",
            )
        if not self.macs:
            raise ProfileError("no MAC address to answer", hint="name the board's boot port in lab.toml")
        try:
            macs = dict.fromkeys(mac_address(mac) for mac in self.macs)
        except ValueError as error:
            raise ProfileError(f"not the MACs of a board: {', '.join(self.macs)}: {error}") from None
        object.__setattr__(self, "macs", tuple(macs))

    @classmethod
    def of(cls, network: Network, macs: tuple[str, ...]) -> Segment:
        """Return `network` with the clients that are answered."""
        return cls(**asdict(network), macs=macs)

    def at_http_port(self, port: int) -> Segment:
        """Return the segment with the port that HTTP is served on."""
        return replace(self, http_port=port)

    @property
    def base_url(self) -> str:
        """Return the URL that a file's `url_path` is appended to."""
        port = "" if self.http_port in (None, HTTP_PORT) else f":{self.http_port}"
        return f"http://{self.server_ip}{port}"


@dataclass(frozen=True, slots=True)
class ServeSpec:
    """One network boot: `files` are all that TFTP and HTTP show.

    `upload` is what the board may send, once; without it, nothing. `visits` is what the boot answers itself.
    """

    segment: Segment
    files: tuple[ServedFile, ...]
    route: Route
    upload: Upload | None = None
    visits: Visits | None = None

    def __post_init__(self) -> None:
        self._check_files()

    def _check_files(self) -> None:
        paths = [file.url_path for file in self.files]
        twice = {path for path in paths if paths.count(path) > 1}
        if twice:
            raise ProfileError(f"two files would appear as {min(twice)}")
        if self.upload is not None and self.upload.url_path in paths:
            raise ProfileError(f"{self.upload.url_path} is served and cannot be sent to as well")
        for needed in self.route.needed:
            if needed not in paths:
                raise ProfileError(f"the route by {self.route.loader} needs {needed} among the served files")

    def to_json(self) -> str:
        """Return the spec as one line of JSON."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, line: str) -> ServeSpec:
        """Read what `to_json` wrote; raises ProfileError on anything else."""
        try:
            body: dict[str, Any] = json.loads(line)
            segment, route = body["segment"], body["route"]
            upload, visits = body["upload"], body["visits"]
            return cls(
                segment=Segment(**{**segment, "macs": tuple(segment["macs"])}),
                upload=upload and Upload(**{**upload, "path": Path(upload["path"])}),
                visits=visits and Visits(**visits),
                route=Route(**{**route, "firmware": Firmware(route["firmware"])}),
                files=tuple(ServedFile(**{**file, "path": Path(file["path"])}) for file in body["files"]),
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ProfileError(f"not a description of a network boot: {type(error).__name__}") from None


MakeSpec = Callable[[Segment], ServeSpec]
"""Says what is served once the network and its port of HTTP are known: the loader's script names it."""
