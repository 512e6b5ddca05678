"""Where this tool keeps its files: three folders by the XDG rules, or all below `BRINGUP_HOME`."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def _folder(kind: str, variable: str, fallback: Path) -> Path:
    home = os.environ.get("BRINGUP_HOME")
    base = Path(home) / kind if home else Path(os.environ.get(variable) or fallback) / "bringup"
    base.mkdir(parents=True, exist_ok=True, mode=0o700)
    return base


def state_dir() -> Path:
    """Return the folder of runs, leases and what the twin's BMC remembers; kept for ever."""
    return _folder("state", "XDG_STATE_HOME", Path.home() / ".local" / "state")


def cache_dir() -> Path:
    """Return the folder of what can be made again (loader trees, generated modules)."""
    return _folder("cache", "XDG_CACHE_HOME", Path.home() / ".cache")


def runtime_dir() -> Path:
    """Return the folder of what lives only while a process does (control sockets, pid files)."""
    fallback = Path(tempfile.gettempdir()) / f"bringup-{os.getuid()}"
    return _folder("run", "XDG_RUNTIME_DIR", fallback)
