"""The shape of lab.toml, as pydantic models; `bringup.lab.read` turns it into boards."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from bringup.lab.names import BOARD_NAME, BUILTIN_PROFILE
from bringup.lab.network import (
    TFTP_PORT,
    Mode,
    check_board_address,
    interface_name,
    ipv4_address,
    mac_address,
    server_address,
)
from bringup.profile.kinds import Baud, IoPort, Many, Text

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?", re.ASCII)


def _board_name(text: str) -> str:
    if not BOARD_NAME.fullmatch(text):
        raise ValueError("a board's name is at most 32 letters, digits, - and _")
    return text


def _host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise ValueError("expected a host name or an IP address")
    return text


def _serial(text: str) -> str:
    if text == "sol" or text.startswith("/") or "://" in text:
        return text
    raise ValueError(
        'expected "sol", a device such as "/dev/ttyUSB0", or a URL such as "rfc2217://host:2217"'
    )


def _second_line(text: str) -> str:
    if text == "sol" or _serial(text) != text:
        raise ValueError('expected a device such as "/dev/ttyUSB1", or a URL such as "rfc2217://host:2217"')
    return text


def _no_plain_password(value: Any) -> Any:
    if isinstance(value, str):
        raise ValueError(
            'a password does not belong into this file; write password = { env = "NAME" }, '
            '{ file = "PATH" }, { command = ["PROGRAM", ...] } or { keyring = "SERVICE" }'
        )
    return value


def _tag(value: str) -> str:
    if not BOARD_NAME.fullmatch(value):
        raise ValueError("a tag is written like a board's name: letters, digits, - and _")
    return value


def _power(value: Any) -> Any:
    if isinstance(value, str):
        return {"driver": value}
    if isinstance(value, dict):
        return value
    raise ValueError('expected the name of a driver, such as "ipmi", or a table such as { on, off, status }')


Mac = Annotated[str, AfterValidator(mac_address)]


class _Model(BaseModel):
    # The input of a failed check may be a password; it stays out of pydantic's own messages, too.
    # Only the whole file is ever checked: the parts' own validators would be built for nothing, also by the
    # making of a default that is checked.
    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True
    )


class PasswordReference(_Model):
    """Where a password is: exactly one of the four."""

    env: Text | None = None
    file: Text | None = None
    command: Annotated[Many[Text], Field(min_length=1)] | None = None
    keyring: Text | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> PasswordReference:
        if len(self.model_dump(exclude_none=True)) != 1:
            raise ValueError("expected exactly one of env, file, command, keyring")
        return self


class BmcTable(_Model):
    """`[boards.NAME.bmc]`; a user name has at most 16 bytes (IPMI 2.0 22.28)."""

    address: Annotated[str, AfterValidator(_host)]
    port: Annotated[int, Field(ge=1, le=65535)] = 623
    user: Annotated[str, Field(min_length=1, max_length=16)]
    password: Annotated[PasswordReference, BeforeValidator(_no_plain_password)]


class NetworkTable(_Model):
    """`[boards.NAME.network]`: the interface of this host that the board boots from."""

    interface: Annotated[str, AfterValidator(interface_name)]
    mode: Mode
    address: Annotated[str, AfterValidator(server_address)]
    board_address: Annotated[str, AfterValidator(ipv4_address)] | None = None
    http_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    tftp_port: Annotated[int, Field(ge=1, le=65535)] = TFTP_PORT

    @model_validator(mode="after")
    def _addresses_fit(self) -> NetworkTable:
        check_board_address(self.mode, self.address, self.board_address)
        return self


class PowerTable(_Model):
    """`[boards.NAME.power]`: which driver switches the board, and what that driver alone understands."""

    model_config = ConfigDict(extra="allow")

    driver: Text = "command"


class BoardTable(_Model):
    """`[boards.NAME]`."""

    profile: Text | None = None
    twin: bool = False
    bmc: BmcTable | None = None
    macs: Many[Mac] = ()
    boot_mac: Mac | None = None
    serial: Annotated[str, AfterValidator(_serial)] = "sol"
    baud: Baud | None = None
    console_port: IoPort | None = None
    console2: Annotated[str, AfterValidator(_second_line)] | None = None
    disk: Text | None = None
    tags: Many[Annotated[str, AfterValidator(_tag)]] = ()
    network: NetworkTable | None = None
    power: Annotated[PowerTable, BeforeValidator(_power)] = PowerTable.model_construct(driver="ipmi")

    @model_validator(mode="after")
    def _is_complete(self) -> BoardTable:
        if self.twin:
            for name in ("bmc", "network", "macs", "boot_mac", "console_port", "console2"):
                if getattr(self, name):
                    raise ValueError(f"`{name}` does not go with `twin = true`: the twin brings its own")
            return self
        for name in ("profile", "macs"):
            if not getattr(self, name):
                raise ValueError(f"a board that is not a twin needs `{name}`")
        if self.bmc is None and (missing := self._missing_without_bmc):
            raise ValueError(
                f"a board that is not a twin needs `bmc`, or where it has none {' and '.join(missing)}"
            )
        if len(set(self.macs)) != len(self.macs):
            raise ValueError("`macs` has the same address twice")
        if self.boot_mac is not None and self.boot_mac not in self.macs:
            raise ValueError("`boot_mac` is not one of `macs`")
        return self

    @property
    def _missing_without_bmc(self) -> list[str]:
        """What has to do what a BMC would, and is not said."""
        power = '`power` ("manual", or { on, off, status } as command lines)'
        console = '`serial` (such as "/dev/ttyUSB0")'
        return [
            *([power] if self.power.driver == "ipmi" else []),
            *([console] if self.serial == "sol" else []),
        ]

    @property
    def profile_name(self) -> str:
        """The profile's name or path."""
        return self.profile or BUILTIN_PROFILE


class LabTable(_Model):
    """`[lab]`: folders, relative to the lab file."""

    runs: Text | None = None
    boards: Text | None = None


class LabFile(_Model):
    """A whole lab.toml."""

    lab: LabTable = LabTable.model_construct()
    boards: Annotated[dict[Annotated[str, AfterValidator(_board_name)], BoardTable], Field(min_length=1)]
