"""A shell that can do nothing to this host: programs to read, one folder to write, no processes, no network.

What is typed at a played VM's prompt is run, and a line that lost characters is any line. So the shell has
namespaces of its own (user_namespaces(7)) and no capability: its root is a tmpfs with the host's programs,
read only.
"""

from __future__ import annotations

import functools
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bringup.base.errors import LabError

_TRY_S = 20.0
_UNSHARE = ("unshare", "--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child")
_USERS = ("--user", "--map-root-user")
# Links (`bin -> usr/bin`) stay links. What is mounted below a folder of programs is made read only like it.
_SETUP = """
set -e
world=$1 new=$1/.root
shift
mkdir -p "$new"
mount -t tmpfs tmpfs "$new"
for name in bin sbin lib lib32 lib64 libx32 usr etc/alternatives; do
  if [ -L "/$name" ]; then
    ln -s "$(readlink "/$name")" "$new/$name"
  elif [ -d "/$name" ]; then
    mkdir -p "$new/$name"
    mount --rbind "/$name" "$new/$name"
  fi
done
while read -r _ _ _ _ point _; do
  case $point in "$new"/*) mount -o remount,bind,ro "$point";; esac
done </proc/self/mountinfo
mkdir -p "$new/dev" "$new$world"
for name in null zero urandom; do
  : >"$new/dev/$name"
  mount --bind "/dev/$name" "$new/dev/$name"
done
mount --bind "$world" "$new$world"
exec chroot "$new" setpriv --no-new-privs --inh-caps=-all --bounding-set=-all -- "$@"
"""


def confined(world: Path, command: Sequence[str]) -> tuple[str, ...]:
    """Return the command that runs `command` with no more of this host than `world` to write to.

    Raises LabError where this host makes no such namespaces.
    """
    return (*_prefix(world), *command)


@functools.cache
def _prefix(world: Path) -> tuple[str, ...]:
    # Root needs no user namespace for it, and containers may deny one.
    ways = ((*_UNSHARE, *_USERS), *((_UNSHARE,) if os.geteuid() == 0 else ()))
    why = ""
    for way in ways:
        prefix = (*way, "--", "sh", "-c", _SETUP, "played-vm", str(world))
        try:
            done = subprocess.run(
                [*prefix, "true"], capture_output=True, check=False, timeout=_TRY_S, stdin=subprocess.DEVNULL
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            why = str(error)
            continue
        if done.returncode == 0:
            return prefix
        why = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
    raise LabError(
        f"played VMs cannot be kept away from this host: {why or 'unshare failed'}",
        hint="see bringup doctor: namespaces; without them no VM is played",
    )
