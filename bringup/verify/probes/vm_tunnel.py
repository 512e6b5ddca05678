"""VMs of a site that encrypts, asked over the board's console: session, split tunnel, what leaves in clear.

Nobody listens outside: what leaves is counted in the black VM by rules that do nothing else, behind all rules
that forward or drop (mangle POSTROUTING). That nothing left in clear is believed only beside what did leave.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from bringup.base.errors import LabError, NotObservedError
from bringup.verify.plan import Check
from bringup.verify.probes.vm import nothing_to_show
from bringup.verify.result import Control, Result, absent, first_failure, judged, skipped
from bringup.verify.vms.inside import (
    count_commands,
    counts_command,
    grown,
    ping_command,
    private_of,
    read_counts,
    read_ping,
)
from bringup.verify.vms.scene import VmScene

_PING_S, _PAYLOAD = 2.0, 56
_HEADERS = 28  # IPv4 and ICMP
_STALE_S = 180  # REJECT_AFTER_TIME of WireGuard
_SKEW_S = 120.0


class Counted(dict[str, int]):
    """What left by the black VM's card while something was done, by `LEAVING`."""


def _wg(scene: VmScene, check: Check, what: str) -> list[str]:
    crypto, name = int(check.params.get("crypto", 1)), str(check.params.get("tunnel", "wg0"))
    told = scene.run(crypto, f"wg show {name} {what}")
    if told.code:
        raise NotObservedError(f"not observed: vm{crypto} has no {name}: {told.text or 'wg says nothing'}")
    return told.lines[0].split() if told.lines else []


def _transfer(scene: VmScene, check: Check) -> tuple[int, int]:
    """Return the bytes that the tunnel took in and sent out."""
    words = _wg(scene, check, "transfer")
    if len(words) != 3 or not all(word.isdigit() for word in words[1:]):
        raise NotObservedError(f"not observed: wg says {' '.join(words) or 'nothing'} of its transfer")
    return int(words[1]), int(words[2])


@contextmanager
def _counting(scene: VmScene, check: Check, far: str) -> Iterator[Counted]:
    """Count what leaves by the black VM's card while the body runs; raises LabError where it cannot.

    `far` is the host whose clear text shall not leave.
    """
    black = int(check.params.get("black", 2))
    found = scene.card(black)
    if found is None or not found[1].net:
        raise NotObservedError(f"not observed: vm{black} has no card that could be counted at")
    card, port = found[1].net[0], int(check.params.get("port", 51820))
    rules = partial(count_commands, card, port, private_of(far))
    counted = Counted()
    try:
        for command in rules("-I"):
            told = scene.run(black, command)
            if told.code:
                raise NotObservedError(f"not observed: vm{black} cannot count: {told.text or command}")
        before = _counts(scene, black, card)
        yield counted
        after = _counts(scene, black, card)
        counted.update({name: grown(before[name], after[name]) for name in after})
    finally:
        for command in rules("-D"):
            scene.run(black, command)


def _counts(scene: VmScene, black: int, card: str) -> dict[str, int]:
    told = scene.run(black, counts_command(card))
    counts = read_counts(told.lines)
    if counts is None:
        raise NotObservedError(f"not observed: vm{black}'s counting rules say {told.text or 'nothing'}")
    return counts


def _pinged(scene: VmScene, check: Check, to: str, count: int) -> int:
    source = int(check.params.get("vm", 0))
    address = str(check.params.get("source", ""))
    told = scene.run(source, ping_command(to, count, size=_PAYLOAD, source=address), count * _PING_S)
    counted = read_ping(told.lines)
    return 0 if counted is None else counted[1]


def _now_s(scene: VmScene, number: int) -> int:
    """Return a VM's clock, seconds since 1970; raises NotObservedError."""
    told = scene.run(number, "date +%s")
    if not told.text.isdigit():
        raise NotObservedError(f"not observed: vm{number}'s date says {told.text!r}")
    return int(told.text)


def _count(check: Check) -> int:
    return int(check.params.get("count", 5))


def _measured(scene: VmScene, check: Check, to: str, count: int) -> tuple[int, int, int, Counted]:
    """Return how many pings were answered, the bytes that the tunnel took in and out, and what left."""
    before = _transfer(scene, check)
    with _counting(scene, check, to) as left:
        answered = _pinged(scene, check, to, count)
    received, sent = (grown(*pair) for pair in zip(before, _transfer(scene, check), strict=True))
    return answered, received, sent, left


def vm_tunnel(scene: VmScene, check: Check) -> Result:
    """The crypto VM has a session that is not too old, or comes to one when something is sent."""
    _pinged(scene, check, str(check.params["to"]), _count(check))
    words = _wg(scene, check, "latest-handshakes")
    now_s = _now_s(scene, int(check.params.get("crypto", 1)))
    at_s = int(words[1]) if len(words) == 2 and words[1].isdigit() else 0
    if not at_s:
        why = "peer unreachable, wrong key, or a clock behind the peer's last session (check clock)"
        return judged(False, f"no session: nothing was ever agreed with the peer; {why}")
    age_s = now_s - at_s
    told = f"the last handshake was {age_s} s ago"
    return judged(abs(age_s) <= _STALE_S, f"{told} (at most {_STALE_S} s)", age_s=age_s)


def vm_ptp(scene: VmScene, check: Check) -> Result:
    """What red sends to the other LAN is answered and went through the tunnel; a ping alone tells nothing."""
    why_not = _cannot(scene, check)
    if why_not is not None:
        return why_not
    count, to = _count(check), str(check.params["to"])
    answered, received, sent, left = _measured(scene, check, to, count)
    payload = count * (_PAYLOAD + _HEADERS)
    values = {"answered": answered, "sent_bytes": sent, "received_bytes": received, "left": dict(left)}
    told = f"{answered} of {count} answered by {to}; the tunnel took {sent} bytes out and {received} in"
    ok = answered == count and sent >= payload and received >= payload and left["tunnel"] >= count
    return Result("pass" if ok else "fail", f"{told}; {_leaving(left)}", values)


def _leaving(left: Counted) -> str:
    return (
        f"outside left {left['tunnel']} packets of the tunnel, {left['private']} for private networks, "
        f"{left['all']} in all"
    )


def vm_split(scene: VmScene, check: Check) -> Result:
    """The Internet is reached beside the tunnel: answered, seen to leave, and not by the tunnel."""
    why_not = _cannot(scene, check)
    if why_not is not None:
        return why_not
    count, to = _count(check), str(check.params["to"])
    answered, _, sent, left = _measured(scene, check, to, count)
    beside = left["all"] - left["tunnel"]
    told = f"{answered} of {count} answered by {to}; {beside} packets left beside the tunnel"
    told += f", which took {sent} bytes"
    ok = answered == count and beside >= count and sent < count * _PAYLOAD
    return judged(ok, told, answered=answered, tunnel_bytes=sent, beside=beside)


def vm_allowed_ips(scene: VmScene, check: Check) -> Result:
    """AllowedIPs, way out and filter in, is the other LAN alone."""
    words = _wg(scene, check, "allowed-ips")
    wanted = str(check.params["only"])
    shown = ", ".join(words[1:]) or "nothing"
    return judged(words[1:] == [wanted], f"allowed: {shown} (wanted {wanted} alone)")


def vm_clear(scene: VmScene, check: Check) -> Result:
    """With the tunnel up, nothing for a private network leaves, while the tunnel's packets do."""
    why_not = _cannot(scene, check)
    if why_not is not None:
        return why_not
    count, to = _count(check), str(check.params["to"])
    with _counting(scene, check, to) as left:
        _pinged(scene, check, to, count)
    return absent("packets for private networks left", left["private"], [_tunnel_control(left, count)])


def _tunnel_control(left: Counted, count: int) -> Control:
    return Control("packets of the tunnel left", left["tunnel"], count)


def vm_kill_switch(scene: VmScene, check: Check) -> Result:
    """With wg0 down nothing for the other LAN leaves; the same before, and the Internet meanwhile, do."""
    why_not = _cannot(scene, check)
    if why_not is not None:
        return why_not
    crypto, name = int(check.params.get("crypto", 1)), str(check.params.get("tunnel", "wg0"))
    count, to, beside = _count(check), str(check.params["to"]), str(check.params["internet"])
    with _counting(scene, check, to) as before:
        _pinged(scene, check, to, count)
    with _without_tunnel(scene, crypto, name), _counting(scene, check, to) as during:
        answered = _pinged(scene, check, to, count)
        _pinged(scene, check, beside, count)
    others = Control("packets beside the tunnel left meanwhile", during["all"] - during["private"], count)
    clear = absent(
        f"packets for private networks left while {name} was down",
        during["private"],
        [
            _tunnel_control(before, count),
            others,
        ],
    )
    silent = judged(not answered, f"{answered} of {count} answered meanwhile")
    return first_failure(clear, silent)


@contextmanager
def _without_tunnel(scene: VmScene, crypto: int, name: str) -> Iterator[None]:
    """Have the tunnel's interface down while the body runs; its routes go with it and are put back."""
    routes = scene.run(crypto, f"ip route show dev {name}").lines
    down = scene.run(crypto, f"ip link set {name} down")
    try:
        if down.code:
            raise NotObservedError(f"not observed: vm{crypto} did not take {name} down: {down.text}")
        yield
    finally:
        for command in (f"ip link set {name} up", *(f"ip route replace {r} dev {name}" for r in routes)):
            told = scene.run(crypto, " ".join(command.split()))
            if told.code:
                raise LabError(f"{name} of vm{crypto} is not as it was: {command} said {told.text}")


def vm_clock(scene: VmScene, check: Check) -> Result:
    """The crypto VM's clock is right: a handshake that looks older than the last is refused in silence."""
    crypto = int(check.params.get("crypto", 1))
    off_s = _now_s(scene, crypto) - time.time()
    most_s = float(check.params.get("most_s", _SKEW_S))
    shown = f"vm{crypto}'s clock is {abs(off_s):.0f} s {'behind' if off_s < 0 else 'ahead of'} this host's"
    shown += f" (at most {most_s:.0f} s)"
    if abs(off_s) > most_s:
        shown += "; handshakes carry it (TAI64N): set the board's own clock (RTC) to UTC"
    return judged(abs(off_s) <= most_s, shown, off_s=round(off_s))


def _cannot(scene: VmScene, check: Check) -> Result | None:
    """Return why a check that counts at the black VM's card cannot be made, None where it can."""
    black = scene.vm(int(check.params.get("black", 2)))
    return nothing_to_show(scene, black) or (
        None if scene.card(black.number) else skipped(f"not observed: {black.name}'s card is not there")
    )
