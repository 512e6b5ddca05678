"""What XML has no way to write, and what pages and pictures show of a text that a run kept."""

from __future__ import annotations

import re

from bringup.report.style import colourless, harmless

NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""A character that XML 1.0 cannot hold at all, escaped or not (its section 2.2)."""


def shown(text: str) -> str:
    """Return text without its colours, with `?` for what steers a terminal or cannot be written."""
    return NOT_XML.sub("?", harmless(colourless(text)))
