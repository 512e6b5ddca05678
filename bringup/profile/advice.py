"""What a person is told about a board's firmware settings and console: its profile's words, or neutral ones.

Tables of causes and failures name a topic (`{advice:vt-x}`) or a fact (`{console_port}`) and know no board;
the words come in where something is told about one board:

    words = BoardWords() if profile is None else profile.words()
    words.advice("vt-x")      # "BIOS: Advanced > CPU Configuration > Intel Virtualization Technology = …"
    words.fill("{advice:sr-iov}; console_port={console_port}")

This module needs no models, so that such tables cost nothing to load.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, cast

Topic = Literal[
    "vt-x",
    "vt-d",
    "x2apic",
    "above-4g",
    "sr-iov",
    "legacy-usb",
    "boot-mode",
    "legacy-boot",
    "network-boot",
    "http-boot",
    "sol-console",
    "post-errors",
    "watchdog",
    "secure-boot",
]

NEUTRAL: Mapping[Topic, str] = {
    "vt-x": "firmware setup: switch on virtualization (VT-x)",
    "vt-d": "firmware setup: switch on the IOMMU (VT-d)",
    "x2apic": "firmware setup: switch off x2APIC",
    "above-4g": "firmware setup: switch off decoding above 4 GiB",
    "sr-iov": "firmware setup: switch off SR-IOV",
    "legacy-usb": "firmware setup: switch off legacy USB support",
    "boot-mode": "firmware setup: boot by legacy BIOS or UEFI, as planned",
    "legacy-boot": "firmware setup: boot by legacy BIOS",
    "network-boot": "firmware setup: switch on network boot for the port you boot from",
    "http-boot": "firmware setup: switch off UEFI HTTP boot",
    "sol-console": "firmware setup: switch on console redirection to Serial-over-LAN",
    "post-errors": "firmware setup: do not wait for a key after an error",
    "watchdog": "firmware setup: switch off the watchdog",
    "secure-boot": "firmware setup: switch off Secure Boot",
}
"""What is said of each topic where no profile names the setting."""

_PORT_UNKNOWN = "PORT"


@dataclass(frozen=True, slots=True)
class BoardWords:
    """The words of one board; without arguments those of a board nothing is known of.

    `settings` gives whole sentences by topic, `console_port` is the I/O port of the UART whose text is read.
    """

    settings: Mapping[Topic, str] = field(default_factory=dict)
    console_port: int | None = None

    def advice(self, topic: Topic) -> str:
        """Return which firmware setting to change for `topic`; KeyError for a topic that there is not."""
        return self.settings.get(topic) or NEUTRAL[topic]

    def fill(self, text: str) -> str:
        """Return `text` with this board's words for `{advice:TOPIC}` and `{console_port}`."""
        port = _PORT_UNKNOWN if self.console_port is None else f"{self.console_port:#x}"
        return text.format(advice=self, console_port=port)

    def __format__(self, topic: str) -> str:
        """Return the advice that `{advice:TOPIC}` asks for."""
        return self.advice(cast(Topic, topic))
