"""This host beside its programs: private networks, the right to serve, files that others must not touch."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from bringup.base.errors import NamespaceError
from bringup.base.privilege import SERVING, permitted, sudo_prefix
from bringup.jobs.doctor.check import Check, Group, Result, failed, failed_by, passed
from bringup.jobs.doctor.root import as_root
from bringup.lab.inventory import Board, Lab
from bringup.profile.toml_lines import shown_path

# The kernel's own bounds on namespaces: /proc/sys/user (namespaces(7)).
_ENOUGH = 15000
_ZERO_FORBIDS = ("user/max_user_namespaces", "user/max_net_namespaces")
_CLONE, _APPARMOR = "kernel/unprivileged_userns_clone", "kernel/apparmor_restrict_unprivileged_userns"
_TUN = Path("/dev/net/tun")
_GIVE_RIGHTS = (
    "bringup serve-rights > bringup.sudoers && sudo install -m 0440 bringup.sudoers /etc/sudoers.d/bringup"
)


def host_checks(board: Board) -> Group:
    """Return the checks of what this host lets us do for a board."""
    checks = [Check("host-namespaces", "namespaces", _namespaces)]
    if not board.twin:
        checks.append(Check("host-rights", "serving", _rights))
    return Group("this host", checks)


def _namespaces() -> Result:
    from bringup.twin.network import Keeper

    try:
        Keeper(["tap0"]).close()
    except NamespaceError as error:
        return failed_by(error, namespace_remedy(_sysctl, has_tun=_TUN.exists()))
    return passed("private networks can be made")


def namespace_remedy(sysctl: Callable[[str], str | None], *, has_tun: bool) -> str | None:
    """Return the command that lets a user make namespaces here; None where no setting stands in the way.

    `sysctl` gives a setting of /proc/sys, None where this kernel has none of that name.
    """
    wrong = [f"{name}={_ENOUGH}" for name in _ZERO_FORBIDS if sysctl(name) == "0"]
    if sysctl(_CLONE) == "0":
        wrong.append(f"{_CLONE}=1")
    if sysctl(_APPARMOR) == "1":
        wrong.append(f"{_APPARMOR}=0")
    if wrong:
        return as_root(f"sysctl -w {' '.join(setting.replace('/', '.') for setting in wrong)}")
    return None if has_tun else as_root("modprobe tun")


def _sysctl(name: str) -> str | None:
    try:
        return (Path("/proc/sys") / name).read_text(encoding="ascii").strip()
    except OSError:
        return None


def _rights() -> Result:
    if os.geteuid() == 0 or permitted() >= SERVING:
        return passed("this process may serve DHCP, TFTP and HTTP")
    if sudo_prefix("bringup.netboot.serve"):
        return passed("sudo lets this user serve DHCP, TFTP and HTTP")
    return failed("this user may not serve DHCP, TFTP and HTTP", _GIVE_RIGHTS)


def file_checks(lab: Lab) -> Group:
    """Return the checks of the files that a lab stands on, and of the folder that runs are kept in."""
    checks = [
        Check("files-lab", "lab file", functools.partial(_lab_file, lab)),
        Check("files-runs", "run folders", functools.partial(_runs, lab)),
        *_passwords(lab),
    ]
    return Group("files", checks)


def _lab_file(lab: Lab) -> Result:
    if lab.file is None:
        return passed("no lab.toml here: the board e300 is the twin")
    # Who may change it was asked when it was read.
    boards = "1 board" if len(lab.boards) == 1 else f"{len(lab.boards)} boards"
    return passed(f"{shown_path(lab.file)}: {boards}, changed by nobody but its owner")


def _runs(lab: Lab) -> Result:
    from bringup.boot.folders import runs_folder

    folder = runs_folder(lab)
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        return failed(
            f"runs are kept in {folder}, and {there} may not be written",
            as_root(f"chown {os.geteuid()} {there}"),
        )
    return passed(f"runs are kept in {folder}")


def _passwords(lab: Lab) -> Iterator[Check]:
    for board in lab.boards.values():
        if board.bmc is not None and board.bmc.password_file is not None:
            yield Check(
                f"files-password.{board.name}",
                f"password of {board.name}",
                functools.partial(_password, board.bmc.password_file),
            )


def _password(path: Path) -> Result:
    from bringup.lab.secret import from_file

    if not path.exists():
        name = shown_path(path)
        return failed(f"the password file {name} is not there", f"install -m 0600 /dev/stdin {name}")
    from_file(path)
    return passed(f"{shown_path(path)} is yours alone")
