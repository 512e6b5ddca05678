"""A serial line as a console: a device, or any other URL that pyserial opens (rfc2217://, socket://, ...)."""

from __future__ import annotations

import contextlib
import errno
import time
from typing import TYPE_CHECKING, Any

from bringup.base.errors import ConsoleLostError, LabError, UsageError

if TYPE_CHECKING:
    from serial import SerialBase

_WRITE_TIMEOUT_S = 10.0
_BREAK_S = 0.25
_STEP_S = 0.02
_PIECE_MAX = 4096

# What the operating system says -> sentence, next step.
_WHY = {
    errno.ENOENT: (
        "does not exist",
        "is the adapter plugged in? `ls /dev/serial/by-id` lists those that are",
    ),
    errno.ENXIO: ("has no hardware behind it", "this host has fewer serial ports than device files"),
    errno.EACCES: (
        "may not be opened by you",
        "join its group and log in again: sudo usermod -aG dialout $USER",
    ),
    errno.EPERM: (
        "may not be opened by you",
        "join its group and log in again: sudo usermod -aG dialout $USER",
    ),
    errno.EBUSY: ("is used by another program", "end the other program: `fuser -v` on the device names it"),
    errno.EAGAIN: ("is used by another program", "end the other program: `fuser -v` on the device names it"),
    errno.EIO: ("gives input/output errors", "unplug the adapter and plug it in again"),
}


class SerialConsole:
    """A console on pyserial. A device is locked against other programs; network URLs know no such thing.

    A break travels over devices and rfc2217://; socket:// is bytes only, where pyserial drops it in silence.
    """

    def __init__(self, url: str, *, baud: int = 115200) -> None:
        self._url = url
        self._baud = baud
        self._port: SerialBase | None = None
        self._alive_s = time.monotonic()

    @property
    def alive_s(self) -> float:
        """When the line was last known to be there."""
        return self._alive_s

    def describe(self) -> str:
        """Return which console this is."""
        return f"{self._url} at {self._baud} baud"

    def open(self, timeout_s: float) -> None:
        """Open the line, 8N1 without flow control; raises UsageError for a URL that makes no sense."""
        import serial

        self.close()
        options: dict[str, Any] = {"timeout": _STEP_S}
        if "://" not in self._url:
            options["exclusive"] = True  # URL handlers refuse the word
        if not self._url.startswith("rfc2217://"):
            options["write_timeout"] = _WRITE_TIMEOUT_S  # which rfc2217 does not know; its socket has 5 s
        try:
            self._port = serial.serial_for_url(self._url, baudrate=self._baud, **options)
        except (serial.SerialException, OSError) as error:
            raise _cannot_open(self._url, error) from None
        except ValueError as error:
            raise UsageError(
                f"{self._url} is no serial line: {error}",
                hint="give a device such as /dev/ttyUSB0, or rfc2217://HOST:PORT, socket://HOST:PORT",
            ) from None
        self._alive_s = time.monotonic()

    def read(self, timeout_s: float) -> bytes:
        """Return what came in within `timeout_s`."""
        port = self._opened()
        deadline_s = time.monotonic() + timeout_s
        data = b""
        with self._line_faults():
            # In steps of one length: to change pyserial's timeout negotiates the whole line again on rfc2217.
            while not data:
                data = bytes(port.read(_PIECE_MAX))
                self._alive_s = time.monotonic()
                if self._alive_s >= deadline_s:
                    break
        return data

    def write(self, data: bytes) -> None:
        """Send characters."""
        port = self._opened()
        with self._line_faults():
            for start in range(0, len(data), _PIECE_MAX):
                port.write(data[start : start + _PIECE_MAX])

    def send_break(self) -> None:
        """Send a break of a quarter of a second; raises LabError on a line that cannot carry one."""
        port = self._opened()
        if self._url.startswith("socket://"):
            raise LabError(
                "a socket:// line cannot carry a break", hint="use rfc2217://, or the device itself"
            )
        with self._line_faults():
            port.send_break(_BREAK_S)

    def close(self) -> None:
        """Close the line."""
        port, self._port = self._port, None
        if port is not None:
            with contextlib.suppress(OSError):
                port.close()

    def _opened(self) -> Any:
        if self._port is None:
            raise ConsoleLostError(f"{self._url} is not open")
        return self._port

    @contextlib.contextmanager
    def _line_faults(self) -> Any:
        import serial

        try:
            yield
        except serial.SerialTimeoutException:
            raise ConsoleLostError(f"{self._url} took no characters for {_WRITE_TIMEOUT_S:.0f} s") from None
        except (
            OSError,
            TypeError,
        ) as error:  # TypeError: pyserial, when another thread closes the line meanwhile
            reason = _why(error)[0] if isinstance(error, OSError) else "was closed"
            raise ConsoleLostError(
                f"the console was lost: {self._url} {reason}",
                hint="is the adapter or its server still there?",
            ) from None


def _cannot_open(url: str, error: OSError) -> LabError:
    reason, hint = _why(error)
    return LabError(f"{url} {reason}", hint=hint)


def _why(error: OSError) -> tuple[str, str]:
    # pyserial wraps the cause in its own exception, sometimes keeping the number and sometimes only the text.
    numbers = [error.errno, getattr(error.__context__, "errno", None)]
    for number in numbers:
        if number in _WHY:
            return _WHY[number]
    return (
        f"cannot be used ({str(error).splitlines()[0] if str(error) else type(error).__name__})",
        "check the name and the cable",
    )
