"""The twin's private network: one namespace with a bridge and a tap per cabled NIC, made without root.

A user namespace gives us the right to make a network namespace; both live exactly as long as one keeper
process, which dies with whoever started it. Nothing of the host's own network is touched.
"""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bringup.errors import MissingProgramError, NamespaceError

BRIDGE = "br0"
SERVER_ADDRESS = "10.55.0.1/24"
BOARD_ADDRESS = "10.55.0.30"
READY_TIMEOUT_S = 10.0

# The kernel ends a child marked so when its parent ends, however that happens.
DIE_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL", "--")

_PACKAGES = {"unshare": "util-linux", "nsenter": "util-linux", "setpriv": "util-linux", "ip": "iproute2"}


@dataclass(frozen=True, slots=True)
class Namespace:
    """A running private network: the keeper's process id says which."""

    keeper_pid: int

    @property
    def enter(self) -> tuple[str, ...]:
        """Return the command prefix that runs a program inside; the program dies with its parent."""
        target = str(self.keeper_pid)
        inside = ("nsenter", "--target", target, "--user", "--net", "--preserve-credentials", "--")
        # Entering a user namespace clears the parent-death signal, so it is set after entering.
        return (*inside, *DIE_WITH_PARENT)


def setup_script(taps: Sequence[str]) -> str:
    """Return the shell script that the keeper runs once inside its new namespaces (pure)."""
    lines = [
        "set -e",
        "ip link set lo up",
        f"ip link add {BRIDGE} type bridge",
        f"ip address add {SERVER_ADDRESS} dev {BRIDGE}",
    ]
    for tap in taps:
        lines += [f"ip tuntap add {tap} mode tap", f"ip link set {tap} master {BRIDGE} up"]
    # An emulated NIC reads frames as they are: checksums left to "hardware" would arrive wrong.
    lines += [
        f"ip link set {BRIDGE} up",
        f"ethtool -K {BRIDGE} tx off >/dev/null 2>&1 || true",
        "echo ready",
        "exec sleep infinity",
    ]
    return "\n".join(lines)


class Keeper:
    """Starts the namespace and holds it; `close()` or the death of this process ends it."""

    def __init__(self, taps: Sequence[str]) -> None:
        for program, package in _PACKAGES.items():
            if shutil.which(program, path=_search_path()) is None:
                raise MissingProgramError(
                    f"the program {program} is not installed", hint=f"apt install {package}"
                )
        command = ["unshare", "--user", "--map-root-user", "--net", "--", *DIE_WITH_PARENT]
        self._process = subprocess.Popen(
            [*command, "sh", "-c", setup_script(taps)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PATH": _search_path(), "LC_ALL": "C"},
        )
        try:
            self._wait_ready()
        except BaseException:
            self.close()
            raise
        self.namespace = Namespace(self._process.pid)

    def _wait_ready(self) -> None:
        assert self._process.stdout is not None and self._process.stderr is not None  # noqa: S101
        deadline = time.monotonic() + READY_TIMEOUT_S
        readable, _, _ = select.select([self._process.stdout], [], [], READY_TIMEOUT_S)
        if readable and self._process.stdout.readline() == b"ready\n":
            return
        if time.monotonic() < deadline:
            self._process.wait(timeout=READY_TIMEOUT_S)
            reason = self._process.stderr.read(4096).decode(errors="replace").strip().splitlines()
            raise namespace_refused(reason[-1] if reason else "no reason given")
        raise NamespaceError("the private network of the twin was not ready within 10 s")

    def close(self) -> None:
        """End the keeper and with it the namespaces; harmless when they are gone."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()


def namespace_refused(reason: str) -> NamespaceError:
    """Return the error for a host that denies the namespaces, naming what can be done about it."""
    if "tun" in reason.lower():
        hint = "the twin needs /dev/net/tun: `modprobe tun`, or give this container that device"
    else:
        hint = (
            "allow unprivileged user namespaces: `sysctl kernel.unprivileged_userns_clone=1`, on Ubuntu 24.04 "
            "`sysctl kernel.apparmor_restrict_unprivileged_userns=0`; user.max_user_namespaces must not be 0"
        )
    return NamespaceError(f"this host denies the twin its private network: {reason}", hint=hint)


def _search_path() -> str:
    # `ip` lies in /sbin, which ordinary users do not always search.
    return os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"
