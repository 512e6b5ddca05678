"""Rights: what serves boards may open low ports and raw sockets, and nothing else may.

A command that was started by sudo becomes the person who typed it at once, so that what it reads and writes
is theirs; of root's rights it keeps the three that DHCP, TFTP and HTTP need, asleep, to wake them in the one
process that serves. capabilities(7), prctl(2); the numbers are those of linux/capability.h and linux/prctl.h.
"""

from __future__ import annotations

import contextlib
import functools
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ctypes

NET_BIND_SERVICE, NET_ADMIN, NET_RAW = 10, 12, 13
SERVING = frozenset({NET_BIND_SERVICE, NET_ADMIN, NET_RAW})
"""Ports below 1024, the ARP entry of a board that has no address yet, router advertisements."""

_PR_SET_PDEATHSIG, _PR_SET_KEEPCAPS, _PR_CAPBSET_DROP = 1, 8, 24
_PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 38, 47
_AMBIENT_RAISE, _AMBIENT_CLEAR_ALL = 2, 4
_SUDO_S = 10.0
_VERSION_3 = 0x20080522
_LAST = Path("/proc/sys/kernel/cap_last_cap")

# What a process of ours needs of its starter's environment. Passwords are in others: a lab file names them.
_PASSED_ON = (
    *("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TZ", "LANG"),
    *("BRINGUP_HOME", "PYTHONDONTWRITEBYTECODE"),
)
_PASSED_ON_PREFIXES = ("LC_", "XDG_")


def become_person(environment: Mapping[str, str] | None = None) -> bool:
    """Under sudo become the person who typed it, before any thread is started; return whether that happened.

    Root itself, and whoever is not root, stays who they are; so does root where this program is not readable
    to that person.
    """
    given = os.environ if environment is None else environment
    uid = given.get("SUDO_UID", "")
    if os.geteuid() != 0 or not uid.isdigit() or int(uid) == 0:
        return False
    try:
        person = pwd.getpwuid(int(uid))
    except KeyError:
        return False  # nobody whose folders could be found
    groups = os.getgroups()
    os.initgroups(person.pw_name, person.pw_gid)
    if not _can_run_this(person.pw_uid):
        os.setgroups(groups)
        return False
    kept = SERVING & permitted()
    _prctl(_PR_SET_KEEPCAPS, 1)
    os.setresgid(person.pw_gid, person.pw_gid, person.pw_gid)
    os.setresuid(person.pw_uid, person.pw_uid, person.pw_uid)
    _capset(effective=(), permitted=kept, inheritable=kept)
    os.environ.update(HOME=person.pw_dir, USER=person.pw_name, LOGNAME=person.pw_name)
    runtime = Path(f"/run/user/{person.pw_uid}")
    if "XDG_RUNTIME_DIR" not in os.environ and runtime.is_dir():
        os.environ["XDG_RUNTIME_DIR"] = str(runtime)
    return True


def _can_run_this(uid: int) -> bool:
    """Return whether a user, with the groups of this process, may read what this program is made of."""
    os.seteuid(uid)
    try:
        return all(
            os.access(path, os.R_OK, effective_ids=True) for path in (sys.executable, os.__file__, __file__)
        )
    finally:
        os.seteuid(0)


def permitted() -> frozenset[int]:
    """Return the capabilities that this thread may use."""
    for line in Path("/proc/thread-self/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("CapPrm:"):
            mask = int(line.split()[1], 16)
            return frozenset(number for number in range(64) if mask >> number & 1)
    return frozenset()


@contextlib.contextmanager
def lent() -> Iterator[None]:
    """Let programs that are started inside have the rights of serving, as far as this process has them."""
    if os.geteuid() == 0 or not SERVING & permitted():
        yield  # root's programs have them anyway, and what is not there cannot be lent
        return
    for number in SERVING & permitted():
        _prctl(_PR_CAP_AMBIENT, _AMBIENT_RAISE, number)
    try:
        yield
    finally:
        _prctl(_PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL)


def sudo_prefix(module: str, *, timeout_s: float = _SUDO_S) -> tuple[str, ...]:
    """Return the command prefix that gives a module the rights of serving, where sudo was set up to.

    It is empty where this process has them, or nobody can give them; `serving_rule` is what sets sudo up.
    Sudo is asked, and waited for at most `timeout_s` seconds.
    """
    if os.geteuid() == 0 or permitted() >= SERVING or shutil.which("sudo") is None:
        return ()
    prefix = _elevated(os.geteuid(), os.getegid())
    command = [*prefix, sys.executable, "-P", "-m", module]
    try:
        asked = subprocess.run(
            ["sudo", "-n", "-l", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return ()  # its rules lie on a server that does not answer
    return ("sudo", "-n", *prefix) if asked.returncode == 0 else ()


def serving_rule(module: str) -> str:
    """Return the line of sudoers(5) that lets this user serve boards without a password, and nothing else."""
    person = pwd.getpwuid(os.geteuid())
    words = [*_elevated(person.pw_uid, person.pw_gid), sys.executable, "-P", "-m", module]
    return f"{person.pw_name} ALL=(root) NOPASSWD: {' '.join(_quoted(word) for word in words)}"


def _quoted(word: str) -> str:
    return "".join(f"\\{char}" if char in ",:=\\ " else char for char in word)


def _elevated(uid: int, gid: int) -> tuple[str, ...]:
    """Return the prefix that root runs a program with as a user who has the rights of serving."""
    rights = "+net_bind_service,+net_admin,+net_raw"
    who = ("--reuid", str(uid), "--regid", str(gid), "--init-groups")
    setpriv = shutil.which("setpriv") or "/usr/bin/setpriv"
    return (setpriv, *who, "--inh-caps", rights, "--ambient-caps", rights, "--")


def keep_serving_rights() -> None:
    """Give up, for good, every right but those of serving; everything that needs others is read by then."""
    kept = SERVING & permitted()
    with contextlib.suppress(OSError):  # only who may change rights can bound them
        for number in range(int(_LAST.read_text()) + 1):
            if number not in SERVING:
                _prctl(_PR_CAPBSET_DROP, number)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _capset(effective=kept, permitted=kept, inheritable=kept)
    for number in kept:
        _prctl(_PR_CAP_AMBIENT, _AMBIENT_RAISE, number)


def outlive_starter() -> None:
    """Live on when the process that started this one ends."""
    _prctl(_PR_SET_PDEATHSIG, 0)


def clean_environment() -> dict[str, str]:
    """Return the environment for a process of ours: what it needs, and no secret that stands beside it."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES)
    }
    # An entry that is empty or relative would be the current folder, where anybody's modules may lie.
    folders = [entry for entry in os.environ.get("PYTHONPATH", "").split(":") if entry.startswith("/")]
    return {**kept, **({"PYTHONPATH": ":".join(folders)} if folders else {})}


@functools.cache
def _libc() -> ctypes.CDLL:
    import ctypes  # only here and below: every process of ours imports this module, and few change rights

    return ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, first: int = 0, second: int = 0) -> None:
    import ctypes

    values = (ctypes.c_ulong(value) for value in (first, second, 0, 0))
    if _libc().prctl(option, *values) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _capset(*, effective: Iterable[int], permitted: Iterable[int], inheritable: Iterable[int]) -> None:
    import ctypes

    masks = [sum(1 << number for number in numbers) for numbers in (effective, permitted, inheritable)]
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    low, high = ([mask >> shift & 0xFFFFFFFF for mask in masks] for shift in (0, 32))
    data = (ctypes.c_uint32 * 6)(*low, *high)
    if _libc().capset(header, data) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
