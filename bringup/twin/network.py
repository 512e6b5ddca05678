"""The twin's private network: one namespace with a bridge and a tap per cabled NIC, made without root.

A user namespace gives us the right to make a network namespace; both live exactly as long as one keeper
process, which dies with whoever started it. Nothing of the host's own network is touched.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bringup.base.errors import MissingProgramError, NamespaceError
from bringup.base.program import find_program, search_path
from bringup.lab.network import Network

NETWORK = Network("br0", "own-segment", "10.55.0.1/24", "10.55.0.30")
READY_TIMEOUT_S = 10.0
WIRE_END, WIRE_FAR = "wire0", "wire1"

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
        users = ("--user", "--preserve-credentials") if self._has_users else ()
        inside = ("nsenter", "--target", str(self.keeper_pid), "--net", *users, "--")
        # Entering a user namespace clears the parent-death signal, so it is set after entering.
        return (*inside, *DIE_WITH_PARENT)

    @property
    def _has_users(self) -> bool:
        """Whether it lies in a user namespace of its own."""
        try:
            return _link(self.keeper_pid, "user") != _link("self", "user")
        except OSError:
            return True  # it is gone, and cannot be entered either way


def setup_script(taps: Sequence[str]) -> str:
    """Return the shell script that furnishes the namespace once (pure)."""
    bridge = NETWORK.interface
    lines = [
        "set -e",
        "ip link set lo up",
        f"ip link add {bridge} type bridge",
        f"ip address add {NETWORK.address} dev {bridge}",
    ]
    for tap in taps:
        lines += [f"ip tuntap add {tap} mode tap", f"ip link set {tap} master {bridge} up"]
    lines += [
        f"ip link set {bridge} up",
        # An emulated NIC reads frames as they are: checksums left to "hardware" would arrive wrong.
        f"ethtool -K {bridge} tx off >/dev/null 2>&1 || true",
    ]
    return "\n".join(lines)


def run_inside(enter: Sequence[str], script: str) -> None:
    """Run a shell script in a namespace; raises NamespaceError with its last words."""
    environment = {**os.environ, "PATH": search_path(), "LC_ALL": "C"}
    done = subprocess.run(
        [*enter, "sh", "-ec", script],
        capture_output=True,
        env=environment,
        timeout=READY_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        raise namespace_refused(_last_line(done.stderr))


def cable(number: int) -> str:
    """Return the interface of the twin's namespace that a board's cable is plugged into."""
    return f"tap{number}"


def plug(namespace: Namespace, pid: int, near: str, far: str, *, address: str = "", mac: str = "") -> None:
    """Put a cable between the bridge (`near`) and process `pid` (`far`), which is in a namespace beside it.

    Raises NamespaceError. `address` is of the form 10.55.0.99/24.
    """
    # An emulated cable carries no checksums "left to the hardware".
    whole = "ethtool -K {} tx off >/dev/null 2>&1 || true"
    run_inside(
        namespace.enter,
        f"ip link add {near} type veth peer name {far} netns {pid}\n"
        f"ip link set {near} master {NETWORK.interface} up\n" + whole.format(near),
    )
    run_inside(
        inside(namespace, pid),
        "\n".join(
            (
                "ip link set lo up",
                *([f"ip link set {far} address {mac}"] if mac else []),
                *([f"ip address add {address} dev {far}"] if address else []),
                f"ip link set {far} up",
                whole.format(far),
            )
        ),
    )


def inside(namespace: Namespace, pid: int) -> tuple[str, ...]:
    """Return the command prefix that runs a program in the network of `pid`, beside a twin's."""
    return (*namespace.enter, "nsenter", "--target", str(pid), "--net", "--", *DIE_WITH_PARENT)


def wire_script(tap: str) -> str:
    """Return what takes a board's tap off the bridge, for a wire that passes frames on (pure).

    The wire has the tap on one side and WIRE_END on the other, whose far end is on the bridge.
    """
    return "\n".join(
        (
            f"ip link set {tap} nomaster",
            f"ip link add {WIRE_END} type veth peer name {WIRE_FAR}",
            f"ip link set {WIRE_FAR} master {NETWORK.interface} up",
            f"ip link set {WIRE_END} up",
            # Frames as they are on a cable: none larger, every checksum in its place.
            *(
                f"ethtool -K {end} tx off tso off gso off gro off >/dev/null 2>&1 || true"
                for end in (WIRE_END, WIRE_FAR)
            ),
        )
    )


class Keeper:
    """Makes the namespaces and holds them; `close()` or the death of this process ends them."""

    def __init__(self, taps: Sequence[str]) -> None:
        for program, package in _PACKAGES.items():
            if find_program(program) is None:
                raise MissingProgramError(
                    f"the program {program} is not installed", hint=f"apt install {package}"
                )
        self._environment = {**os.environ, "PATH": search_path(), "LC_ALL": "C"}
        try:
            self._make(taps, users=True)
        except NamespaceError:
            # Root needs no user namespace to make a network in, and containers and chroots may deny one.
            if os.geteuid() != 0:
                raise
            self._make(taps, users=False)

    def _make(self, taps: Sequence[str], *, users: bool) -> None:
        """Make and furnish the namespaces; raises NamespaceError, and then there are none."""
        self._process = subprocess.Popen(
            # It ends when its stdin does, which is when this process does. A parent-death signal would be
            # lost here: writing the user map changes the credentials it is tied to.
            ["unshare", *(["--user"] if users else []), "--net", "--", "cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=self._environment,
        )
        self.namespace = Namespace(self._process.pid)
        try:
            self._wait_unshared()
            if users:
                map_users(self._process.pid)
            self._furnish(taps)
        except BaseException:
            self.close()
            raise

    def _wait_unshared(self) -> None:
        ours = Path("/proc/self/ns/net").readlink()
        deadline = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                assert self._process.stderr is not None  # noqa: S101
                raise namespace_refused(_last_line(self._process.stderr.read()))
            with contextlib.suppress(OSError):
                if Path(f"/proc/{self._process.pid}/ns/net").readlink() != ours:
                    return
            time.sleep(0.005)
        raise NamespaceError(f"the private network of the twin was not ready within {READY_TIMEOUT_S:.0f} s")

    def _furnish(self, taps: Sequence[str]) -> None:
        run_inside(self.namespace.enter, setup_script(taps))

    def close(self) -> None:
        """End the keeper and with it the namespaces; harmless when they are gone."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stderr):
            if stream is not None:
                stream.close()


def map_users(pid: int) -> None:
    """Make us root in the new user namespace of `pid` (user_namespaces(7)); raises NamespaceError.

    Root maps every user it knows to itself, so that programs which drop root (tcpdump) can; others may map
    only themselves, and must give up setgroups for it.
    """
    uid, gid = os.geteuid(), os.getegid()
    users, groups = f"0 {uid} 1", f"0 {gid} 1"
    try:
        if uid == 0:
            users, groups = (_identity(Path(f"/proc/self/{name}_map").read_text()) for name in ("uid", "gid"))
        else:
            Path(f"/proc/{pid}/setgroups").write_text("deny", encoding="ascii")
        Path(f"/proc/{pid}/uid_map").write_text(users, encoding="ascii")
        Path(f"/proc/{pid}/gid_map").write_text(groups, encoding="ascii")
    except OSError as error:
        raise namespace_refused(f"users cannot be mapped ({error.strerror})") from error


def _identity(own_map: str) -> str:
    """Return the map that keeps every id of a map like /proc/self/uid_map as it is (pure)."""
    ranges = [line.split() for line in own_map.splitlines()]
    return "\n".join(f"{inside} {inside} {count}" for inside, _outside, count in ranges)


def _link(pid: int | str, kind: str) -> str:
    """Return which namespace a process is in."""
    return str(Path(f"/proc/{pid}/ns/{kind}").readlink())


def _last_line(text: bytes) -> str:
    lines = text.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "no reason given"


def namespace_refused(reason: str) -> NamespaceError:
    """Return the error for a host that denies the namespaces, naming what can be done about it."""
    if "tun" in reason.lower():
        hint = "the twin needs /dev/net/tun: `modprobe tun`, or give this container that device"
    else:
        hint = (
            "allow unprivileged user namespaces: `sysctl kernel.unprivileged_userns_clone=1`, on Ubuntu "
            "`sysctl kernel.apparmor_restrict_unprivileged_userns=0`; user.max_user_namespaces must not be 0"
        )
    return NamespaceError(f"this host denies the twin its private network: {reason}", hint=hint)
