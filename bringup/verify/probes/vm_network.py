"""VMs of a board: does a passed card work: link, interrupts, answers, rates?"""

from __future__ import annotations

from collections.abc import Sequence

from bringup.base.errors import NotObservedError
from bringup.verify.plan import Check
from bringup.verify.probes.vm import nothing_to_show, vm_of
from bringup.verify.result import Result, judged, skipped
from bringup.verify.vms.expected import Card, ExpectedVm, next_pins, several_at_once
from bringup.verify.vms.inside import (
    grown,
    interrupts_command,
    ping_command,
    read_interrupts,
    read_iperf3,
    read_ping,
)
from bringup.verify.vms.scene import VmScene
from bringup.verify.vms.slow import slow_causes

_COMPLAINTS = "dmesg|grep -E 'WATCHDOG|Hung|nobody cared|Interrupt Reg'|tail -n 4"
_PING_S, _SHOWN = 2.0, 3
# What a card counts besides iperf3's payload, at a full frame: 1514 to 1448 bytes, and a margin.
_AGREES = 0.85, 1.25
VSWITCH_CARD = "eth0"


def _net(scene: VmScene, vm: ExpectedVm) -> str:
    found = scene.card(vm.number)
    return found[1].net[0] if found is not None and found[1].net else ""


def vm_link(scene: VmScene, check: Check) -> Result:
    """The passed card has a link, as fast as it can."""
    vm = vm_of(scene, check)
    why_not = nothing_to_show(scene, vm)
    net = "" if why_not is not None else _net(scene, vm)
    if why_not is not None or not net:
        return why_not or judged(False, "the card has no network name")
    # A card that was down agrees with its other end for some seconds.
    wait = 'for i in 1 2 3 4 5 6;do [ "$(cat carrier)" = 1 ]&&break;sleep 1;done'
    command = f"ip link set {net} up;cd /sys/class/net/{net}&&{wait};cat carrier operstate speed"
    told = scene.run(vm.number, command, 6)
    words = told.lines
    if not words or words[0] != "1":
        return judged(False, f"{net} has no link: is its cable plugged, the other end up?", excerpt=words)
    speed = int(words[2]) if len(words) > 2 and words[2].lstrip("-").isdigit() else -1
    wanted = int(check.params.get("least_mbit", vm.cards[0].mbit))
    if speed <= 0:
        return skipped(f"not observed: {net} does not say how fast its link is")
    if speed < wanted:
        why = "the cable's pairs, the switch's port, or a forced speed"
        return judged(False, f"{net}'s link came up at {speed} Mbit/s of {wanted}: {why}", excerpt=words)
    return judged(True, f"{net} has a link at {speed} Mbit/s", excerpt=words, link_mbit=speed)


def vm_irq(scene: VmScene, check: Check) -> Result:
    """The card's interrupt counter grows while it works; else which pin is in use, and which may be right."""
    vm = vm_of(scene, check)
    why_not = nothing_to_show(scene, vm)
    if why_not is not None:
        return why_not
    card = vm.cards[0]
    count = int(check.params.get("count", 5))
    if not card.lines:
        return skipped(f"which interrupt {vm.name}'s card has is not known: --config, or `lines` in the plan")
    rows = interrupts_command([line.irq for line in card.lines])
    before = scene.run(vm.number, rows)
    scene.run(vm.number, ping_command(str(check.params["to"]), count), count * _PING_S)
    after = scene.run(vm.number, rows)
    first, last = read_interrupts(before.lines), read_interrupts(after.lines)
    came = {line.irq: grown(first.get(line.irq, 0), last.get(line.irq, 0)) for line in card.lines}
    in_use = card.lines[0]
    raw = [*before.lines, *after.lines]
    told = f"interrupt {in_use.irq} counted {came[in_use.irq]} during {count} pings"
    if came[in_use.irq] >= count / 2:
        return judged(
            True, f"{told}; pin {in_use.pin}", excerpt=raw, counted=came[in_use.irq], pin=in_use.pin
        )
    winner = next((line for line in card.lines[1:] if came[line.irq] >= count / 2), None)
    if winner is not None:
        words = f"{told}, and {winner.irq} counted {came[winner.irq]}: the card's pin is {winner.pin}"
        return judged(False, f"{words}, not {in_use.pin}", excerpt=raw, pin=in_use.pin, right=winner.pin)
    complaints = scene.run(vm.number, _COMPLAINTS).lines
    return _no_interrupts(scene, vm, card, told, [*raw, *complaints])


def _no_interrupts(scene: VmScene, vm: ExpectedVm, card: Card, told: str, raw: list[str]) -> Result:
    in_use = card.lines[0].pin
    storm = next((line.strip() for line in raw if "nobody cared" in line), "")
    if storm:
        why = "level_trig is 1, or two VMs have one pin (C4, C8)"
        return judged(False, f"{told} at pin {in_use}; {storm}: {why}", excerpt=raw, pin=in_use)
    pins = next_pins(card, scene.expected, scene.believed)
    names = ", ".join(f"{c.pin} ({c.source})" for c in pins[:_SHOWN])
    words = [f"{told}: nothing arrives at the pin in use, {in_use}"]
    words.append(
        f"next candidates: {names}" if pins else "no other pin is known: bringup probe-pci measures it"
    )
    several = several_at_once(vm, card, scene.expected, pins) if pins else ()
    if pins:
        words.append("one boot tries them all with the vm_irqs below; the row that counts names the pin")
    values = {"pin": in_use, "candidates": [c.pin for c in pins], "vm_irqs": list(several)}
    return Result("fail", "; ".join(words), values, (*several, *raw))


def vm_ping(scene: VmScene, check: Check) -> Result:
    """A VM reaches an address."""
    vm = vm_of(scene, check)
    to, count = str(check.params["to"]), int(check.params.get("count", 5))
    if check.params.get("card", True):
        why_not = nothing_to_show(scene, vm)
        if why_not is not None:
            return why_not
    told = scene.run(vm.number, ping_command(to, count), count * _PING_S)
    counted = read_ping(told.lines)
    if counted is None:
        return judged(False, f"{vm.name} cannot ping {to}: {told.text or 'nothing said'}", excerpt=told.lines)
    ok = counted[1] == counted[0]
    return judged(
        ok, f"{counted[1]} of {counted[0]} answered by {to}", excerpt=told.lines, answered=counted[1]
    )


def vm_rate(scene: VmScene, check: Check) -> Result:
    """How fast one VM sends to another, by the counter of the receiver's card, within a band."""
    sender, receiver = int(check.params["from"]), int(check.params["to"])
    if scene.run(receiver, "iperf3 -s -1 -D >/dev/null 2>&1").code == 127:
        return skipped(f"vm{receiver} has no iperf3")
    lines, received = _sent(scene, check, sender, f"-c {check.params['address']}", (receiver, VSWITCH_CARD))
    return _rated(check, lines, received, slow_causes(scene.build, scene.vms.told))


def vm_rate_card(scene: VmScene, check: Check) -> Result:
    """How fast a passed card receives, by its own counter, from an iperf3 server beside the board."""
    vm = vm_of(scene, check)
    why_not = nothing_to_show(scene, vm)
    net = "" if why_not is not None else _net(scene, vm)
    if why_not is not None or not net:
        return why_not or judged(False, "the card has no network name")
    lines, received = _sent(scene, check, vm.number, f"-R -c {check.params['to']}", (vm.number, net))
    return _rated(check, lines, received)


def _sent(
    scene: VmScene, check: Check, client: int, words: str, receiver: tuple[int, str]
) -> tuple[tuple[str, ...], int]:
    """Return what iperf3 said in the client, and by how much the receiver's card (VM, name) counted more."""
    seconds = max(1, int(check.params.get("seconds", 5)))  # 0 is for ever
    before = _received(scene, *receiver)
    command = f"iperf3 {words} -t {seconds} -i 0 -f m|grep -E 'error|receiver'"
    said = scene.run(client, command, seconds + 5)
    return said.lines, grown(before, _received(scene, *receiver))


def _received(scene: VmScene, number: int, net: str) -> int:
    """Return the bytes that a card took in; raises NotObservedError."""
    told = scene.run(number, f"cd /sys/class/net/{net}/statistics&&cat rx_bytes")
    if not told.text.isdigit():
        raise NotObservedError(f"not observed: vm{number} has no counter of {net}: {told.text or 'nothing'}")
    return int(told.text)


def _rated(check: Check, lines: tuple[str, ...], received: int, causes: Sequence[str] = ()) -> Result:
    """Judge a rate by the receiver's counter; it is believed where iperf3's receiver says the like.

    A slow one is told with `causes`; where none is known, with the usual one of the plan.
    """
    told = read_iperf3(lines)
    if told is None or told.seconds <= 0:
        return judged(
            False, f"nothing was measured: {' '.join(lines) or 'iperf3 said nothing'}", excerpt=lines
        )
    rate = received * 8 / told.seconds / 1e6
    raw = (*lines, f"rx_bytes of the receiver grew by {received} in {told.seconds:g} s")
    least, most = float(check.params["least_mbit"]), float(check.params["most_mbit"])
    shown = f"{rate:.0f} Mbit/s by the receiver's counter, iperf3 says {told.mbit_s:.0f}"
    if not _AGREES[0] * told.mbit_s <= rate <= _AGREES[1] * told.mbit_s:
        return judged(False, f"{shown}: they do not agree, so neither is believed", excerpt=raw)
    values = {"mbit_s": round(rate, 1), "least_mbit": least, "most_mbit": most}
    if rate < least:
        hint = "; ".join(causes) or str(check.params.get("slow", ""))
        return Result(
            "fail", f"{shown}, below the band {least:g} to {most:g}; {hint}".rstrip("; "), values, raw
        )
    over = f", above the band {least:g} to {most:g}" if rate > most else f" (band {least:g} to {most:g})"
    return Result("pass", f"{shown}{over}", values, raw)
