"""What a virtual BMC remembers, and the file that carries it over a restart."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bringup.base.whole_file import whole_file
from bringup.twin.bmc.boot import BootOptions
from bringup.twin.bmc.sel import RECORD_SIZE, Sel

BITS_115200 = 0x0A


@dataclass
class Watchdog:
    """The watchdog timer (IPMI 2.0 chapter 27); counts are in its own unit of 100 ms."""

    use: int = 0
    action: int = 0
    pre_timeout_s: int = 0
    expired_uses: int = 0
    initial_count: int = 0
    expires_at: float | None = None
    configured: bool = False

    def start(self, now: float) -> None:
        """Count down from the initial value."""
        self.expires_at = now + self.initial_count / 10

    def present_count(self, now: float) -> int:
        """Return what is left; a stopped timer shows its initial value."""
        if self.expires_at is None:
            return self.initial_count
        return max(0, min(0xFFFF, int((self.expires_at - now) * 10)))


@dataclass
class BmcState:
    """All of it. Change it only inside `changing`, read several values together only inside `lock`.

    `file` None keeps nothing. Times are seconds since 1970, because expiry has to outlive the process.
    """

    file: Path | None = None
    now: Callable[[], float] = time.time
    guid: uuid.UUID = field(default_factory=uuid.uuid4)
    boot: BootOptions = field(default_factory=BootOptions)
    sel: Sel = field(default_factory=Sel)
    watchdog: Watchdog = field(default_factory=Watchdog)
    power_restore_policy: int = 0
    lan_mode: int = 0
    identify_until: float = 0.0
    restart_cause: int = 0
    last_power_event: int = 0
    sol_enabled: bool = True
    sol_bit_rates: dict[int, int] = field(default_factory=lambda: {5: BITS_115200, 6: BITS_115200})
    """SOL's bit rates, kept (parameter 5) and now (parameter 6), as IPMI 2.0 table 26-5 numbers them."""
    global_enables: int = 0
    sdr_reservation: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @classmethod
    def load(cls, file: Path | None, now: Callable[[], float] = time.time) -> BmcState:
        """Return the state in `file`; an absent or damaged file gives a BMC fresh from the factory."""
        state = cls(file=file, now=now)
        try:
            if file is not None:
                state._restore(json.loads(file.read_bytes()))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            state = cls(file=file, now=now)
        with state.changing():
            pass  # a new BMC has just chosen its GUID, which must not change at the next start
        return state

    @contextmanager
    def changing(self) -> Iterator[BmcState]:
        """Hold the lock around a change, then write the file."""
        with self.lock:
            yield self
            self._save()

    def _restore(self, saved: dict[str, Any]) -> None:
        # By hand: the checks are few, and a validation library would double this process's memory.
        guid, boot = uuid.UUID(saved["guid"]), saved["boot"]
        parameters = {int(number): bytes.fromhex(text) for number, text in boot["parameters"].items()}
        expires_at = boot["expires_at"]
        records = [bytes.fromhex(text) for text in saved["sel"]]
        policy, lan_mode = int(saved["power_restore_policy"]), int(saved["lan_mode"])
        self.boot.restore(parameters, None if expires_at is None else float(expires_at))
        self.guid, self.power_restore_policy, self.lan_mode = guid, policy & 0x03, lan_mode & 0x03
        self.sel.records = [record for record in records if len(record) == RECORD_SIZE]
        if self.sel.records:
            self.sel.next_id = int.from_bytes(self.sel.records[-1][:2], "little") % 0xFFFE + 1

    def _save(self) -> None:
        if self.file is None:
            return
        body = {
            "guid": str(self.guid),
            "boot": self.boot.to_json(),
            "sel": [record.hex() for record in self.sel.records],
            "power_restore_policy": self.power_restore_policy,
            "lan_mode": self.lan_mode,
        }
        # A BMC with worn-out flash forgets, but goes on serving; one that answers late would be none.
        with suppress(OSError), whole_file(self.file, lasting=False) as file:
            file.write(json.dumps(body).encode())
