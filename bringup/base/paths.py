"""Where this tool keeps its files: three folders by the XDG rules, or all below `BRINGUP_HOME`.

Each belongs to the user alone; one that belongs to somebody else is refused, because what lies in it is
trusted (whose process a twin is, where its password lies). Nothing is kept in /tmp, where others could have
made it first.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from pathlib import Path

from bringup.base.errors import LabError


def state_dir() -> Path:
    """Return the folder of runs, captures and what a BMC was met as, or a twin's remembers; kept for ever."""
    return _folder("state", "XDG_STATE_HOME", Path.home() / ".local" / "state")


def cache_dir() -> Path:
    """Return the folder of what can be made again (loader trees, generated modules)."""
    return _folder("cache", "XDG_CACHE_HOME", Path.home() / ".cache")


def runtime_dir() -> Path:
    """Return the folder of what lives only while a process does (leases, the running twin's facts)."""
    return _folder("run", "XDG_RUNTIME_DIR", Path.home() / ".local" / "state" / "bringup" / "run")


def home_runtime_dir() -> Path:
    """Return the runtime folder of what belongs to one state folder alone: twins of two homes never meet."""
    if os.environ.get("BRINGUP_HOME"):
        return runtime_dir()
    home = state_dir().resolve()
    if home == (Path.home() / ".local" / "state" / "bringup").resolve():
        return runtime_dir()
    return _own(runtime_dir() / f"home-{hashlib.sha256(os.fsencode(home)).hexdigest()[:8]}")


def open_lock(path: Path, mode: int = 0o600) -> int:
    """Return a descriptor of a lock file, made if absent; never through a link, never shortened.

    Raises OSError, also for what is no file, or has another name besides.
    """
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        descriptor = os.open(path, flags | os.O_CREAT, mode)
    found = os.fstat(descriptor)
    # Under another name it may be anybody's file, and what is locked is written to.
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a file of its own")
    return descriptor


def is_at(path: Path, descriptor: int) -> bool:
    """Return whether an open file still has this name: whoever held its lock may have taken it away."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except OSError:
        return False


def at_home(path: str | Path) -> Path:
    """Return a path with a `~` at its begin as the shell puts it; that of an unknown user stays as it is."""
    return Path(os.path.expanduser(path))  # noqa: PTH111  # `Path.expanduser` raises RuntimeError for it


def _folder(kind: str, variable: str, fallback: Path) -> Path:
    home = os.environ.get("BRINGUP_HOME")
    return _own(Path(home) / kind if home else Path(os.environ.get(variable) or fallback) / "bringup")


def _own(base: Path) -> Path:
    try:
        base.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = base.lstat()
    except OSError as error:
        raise LabError(
            f"cannot make the folder {base}: {error.strerror}",
            hint="set BRINGUP_HOME to a folder that is yours",
        ) from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise LabError(
            f"{base} is not a folder of yours, so what lies in it cannot be trusted",
            hint="set BRINGUP_HOME to a folder that is yours",
        )
    return base
