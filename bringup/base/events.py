"""One schema of events for every part of a run: `events.ndjson`, the progress display and reports read it.

An event is written as one JSON object per line. `v` is the schema's version; `t` is seconds since the run
began; `source` is who saw it; `kind` is a dotted name; `text` is a sentence for people; `data` is the rest.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeGuard

SCHEMA_VERSION = 1
_FAR_S = 1e10  # some 300 years

Source = Literal["run", "power", "console", "dhcp", "tftp", "http", "image", "twin", "disk"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something seen at `at_s` (CLOCK_MONOTONIC seconds, one clock for all processes of this host)."""

    source: Source
    kind: str
    text: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    at_s: float = field(default_factory=time.monotonic)

    def to_json(self, *, origin_s: float) -> str:
        """Return the event as one line of JSON, its time counted from `origin_s`."""
        body = {
            "v": SCHEMA_VERSION,
            "t": round(self.at_s - origin_s, 4),
            "source": self.source,
            "kind": self.kind,
            "text": self.text,
            "data": dict(self.data),
        }
        return json.dumps(body, ensure_ascii=True, default=str)

    @classmethod
    def from_json(cls, line: str | bytes, *, origin_s: float = 0.0) -> Event:
        """Read one line written by `to_json`; raises ValueError or KeyError on anything else."""
        return cls.from_body(json.loads(line), origin_s=origin_s)

    @classmethod
    def from_body(cls, body: Any, *, origin_s: float = 0.0) -> Event:
        """Return the event of a line that is read already; raises ValueError or KeyError."""
        if not isinstance(body, dict) or body.get("v") != SCHEMA_VERSION:
            raise ValueError("not an event of schema 1")
        source, kind, text, data, at_s = (body[key] for key in ("source", "kind", "text", "data", "t"))
        if not all(isinstance(word, str) for word in (source, kind, text)) or not isinstance(data, dict):
            raise ValueError("not the members of an event")
        if not is_time(at_s):
            raise ValueError("not the time of an event")
        return cls(source, kind, text, data, at_s + origin_s)


def is_time(value: object) -> TypeGuard[float]:
    """Return whether a value that was read can be seconds of a run."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _FAR_S


Emit = Callable[[Event], None]
