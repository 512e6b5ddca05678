"""A console on any serial line that pyserial opens: `/dev/ttyUSB0`, `rfc2217://host:port`, `socket://host:port`."""

from __future__ import annotations

import errno
from typing import Any

from bringup.errors import BmcBusyError, ConsoleLostError, LabError


class SerialConsole:
    """One serial line. Local devices are opened exclusively, so that two readers cannot steal each other's bytes."""

    def __init__(self, url: str, baud: int) -> None:
        self._url = url
        self._baud = baud
        self._port: Any = None

    def open(self, timeout_s: float) -> None:
        """Open the line; raises LabError saying what is missing, BmcBusyError when another program has it."""
        import serial

        local = "://" not in self._url
        options: dict[str, Any] = {"exclusive": True} if local else {}
        try:
            self._port = serial.serial_for_url(
                self._url, baudrate=self._baud, timeout=0.2, write_timeout=timeout_s, **options
            )
        except (serial.SerialException, OSError, ValueError) as error:
            raise _refusal(self._url, error) from None

    def read(self, timeout_s: float) -> bytes:
        """Return what came, b"" for nothing; raises ConsoleLostError when the line is gone."""
        import serial

        try:
            self._port.timeout = timeout_s
            first: bytes = self._port.read(1)
            # socket:// says "1 waiting" when its peer is gone; the read after it tells the truth.
            waiting = self._port.in_waiting if first else 0
            return first + (self._port.read(waiting) if waiting > 1 else b"")
        except (serial.SerialException, OSError, TypeError) as error:
            raise ConsoleLostError(f"the serial line {self._url} was lost: {error}") from None

    def write(self, data: bytes) -> None:
        """Send to the board."""
        import serial

        try:
            self._port.write(data)
        except (serial.SerialException, OSError) as error:
            raise ConsoleLostError(f"the serial line {self._url} was lost: {error}") from None

    def send_break(self) -> None:
        """Send a serial break (a plain socket:// has none; it is ignored there)."""
        self._port.send_break()

    def close(self) -> None:
        """Close the line."""
        port, self._port = self._port, None
        if port is not None:
            port.close()

    def describe(self) -> str:
        """Return in a few words what this is, for people."""
        return f"{self._url}, {self._baud} baud"


def _refusal(url: str, error: Exception) -> LabError:
    number = getattr(error, "errno", None)
    text = str(error)
    if number == errno.ENOENT or "No such file" in text:
        return LabError(
            f"there is no serial port {url}", hint="is the adapter plugged in? `ls /dev/serial/by-id`"
        )
    if number == errno.EACCES or "Permission denied" in text:
        return LabError(
            f"no permission to open {url}", hint="`sudo usermod -aG dialout $USER`, then log in again"
        )
    if number in (errno.EAGAIN, errno.EBUSY) or "lock" in text:
        return BmcBusyError(f"{url} is in use by another program", hint=f"`fuser {url}` names it")
    return LabError(
        f"cannot open the serial line {url}: {text}", hint="/dev/ttyUSB0, rfc2217://h:p, socket://h:p"
    )
