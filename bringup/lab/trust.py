"""Whose a lab file is: it can name a command, which is run as whoever reads it."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from pathlib import Path

from bringup.base.errors import UsageError
from bringup.profile.toml_lines import shown_path


def check_is_ours(path: Path) -> None:
    """Raise UsageError when a lab file that nobody named belongs to a stranger, who left it there."""
    owner = path.stat().st_uid
    if owner not in (0, os.geteuid()) and str(owner) != os.environ.get("SUDO_UID"):
        raise UsageError(
            f"{shown_path(path)} belongs to another user (id {owner}) and was not asked for",
            hint=f"if you trust it: --lab {shown_path(path)}",
        )


def check_only_ours(path: Path) -> None:
    """Raise UsageError when others than its owner may write a lab file: they could name a command in it."""
    found = path.stat()
    shared = bool(found.st_mode & stat.S_IWGRP) and not _is_alone_in(found.st_gid, found.st_uid)
    if found.st_mode & stat.S_IWOTH or shared:
        who = "anybody" if found.st_mode & stat.S_IWOTH else f"group {found.st_gid}"
        raise UsageError(
            f"{shown_path(path)} can be changed by {who}, and what it says is run as you",
            hint=f"chmod go-w {shown_path(path)}",
        )


def _is_alone_in(gid: int, uid: int) -> bool:
    """Return whether a group is a user's own, which has nobody else in it."""
    try:
        name = pwd.getpwuid(uid).pw_name
        return pwd.getpwuid(uid).pw_gid == gid and set(grp.getgrgid(gid).gr_mem) <= {name}
    except KeyError:
        return False
