"""A guest's kernel and root file system: what they are, what they have for the VMM, how they boot."""

from __future__ import annotations

import re
import time

from bringup.verify.guests.boot import Guest
from bringup.verify.guests.scene import GuestScene
from bringup.verify.plan import Check
from bringup.verify.result import Result, judged, skipped
from bringup.vlab.tunnel import new_keys

_MAC_ONLY = "0000010000"
_PORT = 51820


def guest_version(scene: GuestScene, check: Check) -> Result:
    """The kernel says which release it is, how wide, and where its configuration is known from."""
    kernel, config = scene.kernel, scene.config
    wide = f"{kernel.bits}-bit" if kernel.bits else f"width unknown ({kernel.unread or 'no ELF inside'})"
    major, minor = kernel.header.protocol
    text = f"{kernel.release or 'release unknown'}, {wide}, boot protocol {major}.{minor:02d}"
    text += (
        f"; configuration: {config.source if config else 'unknown'}; root: {scene.rootfs.title or 'unnamed'}"
    )
    return judged(kernel.release is not None, text, release=kernel.release, bits=kernel.bits)


def guest_config(scene: GuestScene, check: Check) -> Result:
    """Each symbol of `symbols` is as wanted: `yes` is built in, or a module that the root file system has."""
    wrong, unknown, known = [], [], []
    for symbol, wanted in check.params["symbols"].items():
        found = _state(scene, symbol)
        told = f"{symbol}={found or 'unknown'}"
        if found is None:
            unknown.append(told)
        elif not _as_wanted(found, str(wanted)):
            wrong.append(f"{told}, wanted {wanted}")
        else:
            known.append(told)
    if wrong:
        return judged(False, "; ".join(wrong + unknown))
    if unknown and not known:
        return skipped(f"unknown: no configuration was found, and nothing else tells of {', '.join(unknown)}")
    return judged(True, ", ".join(known + unknown))


def _as_wanted(found: str, wanted: str) -> bool:
    usable = found in ("y", "m with its module")
    return usable if wanted == "yes" else not usable if wanted == "no" else found == wanted


def _state(scene: GuestScene, symbol: str) -> str | None:
    """Return y, n, `m with its module`, `m without its module` or a value; None where nothing tells."""
    module = symbol.lower()
    release = scene.kernel.release or ""
    if scene.config is not None:
        value = scene.config.get(symbol)
        if value == "m":
            return "m with its module" if module in scene.modules else "m without its module"
        if value != "n" or module not in scene.modules:
            return value
        # Not in the kernel's own configuration, and there as one that was built beside it.
        return "m with its module"
    if module in scene.rootfs.built_in.get(release, frozenset()):
        return "y"
    return "m with its module" if module in scene.modules else None


def guest_nic(scene: GuestScene, check: Check) -> Result:
    """At least one driver of a card that may be passed through is there."""
    states = {name: _state(scene, name) for name in check.params["any_of"]}
    usable = [name for name, state in states.items() if state in ("y", "m with its module")]
    text = ", ".join(f"{name}={state or 'unknown'}" for name, state in states.items())
    if not usable and None in states.values():
        return skipped(f"unknown: {text}")
    return judged(bool(usable), text, usable=usable)


def guest_msi(scene: GuestScene, check: Check) -> Result:
    """MSI is not in the kernel, or is switched off on its command line: the VMM hides the capability."""
    state = _state(scene, "PCI_MSI")
    if state is None:
        return skipped("unknown: no configuration was found; boot with pci=nomsi in vmN.kernel_cmdline")
    if state == "n":
        return judged(True, "PCI_MSI=n")
    return judged(
        True, f"PCI_MSI={state}: pci=nomsi belongs in vmN.kernel_cmdline (the guests here boot with it)"
    )


def guest_modules(scene: GuestScene, check: Check) -> Result:
    """The root file system's modules are those of this kernel."""
    releases = sorted(scene.rootfs.modules)
    text = f"kernel {scene.kernel.release}, modules of {', '.join(releases) or 'no release'}"
    if not releases:
        return skipped("the root file system has no modules")
    if scene.kernel.release is None:
        return skipped(f"unknown: {text}")
    return judged(scene.kernel.release in releases, f"{text} ({len(scene.modules)} for it)")


def guest_boots(scene: GuestScene, check: Check) -> Result:
    """Two guests come to a login with pci=nomsi, and take commands."""
    told = [guest.run("uname -r; uname -m; cat /proc/cmdline") for guest in scene.guests]
    lines = [text.strip().splitlines() for _code, text in told]
    ok = all(
        code == 0 and len(words) == 3 and "pci=nomsi" in words[2]
        for (code, _), words in zip(told, lines, strict=True)
    )
    shown = "; ".join(" ".join(words[:2]) for words in lines)
    return judged(ok, f"logged in at {scene.logins[0]!r}; {shown}")


def guest_virtio(scene: GuestScene, check: Check) -> Result:
    """The guest's driver takes the VMM's only feature, the MAC address, and the card is there."""
    text = scene.guests[0].run("cat /sys/bus/virtio/devices/virtio0/features; ls /sys/class/net")[1]
    features = text.strip().splitlines()[0] if text.strip() else ""
    cards = text.split()[1:]
    ok = features.startswith(_MAC_ONLY) and features.count("1") == 1 and any(name != "lo" for name in cards)
    return judged(
        ok, f"features {features.rstrip('0') or 'none'}… (bit 5 alone: MAC); cards {', '.join(cards)}"
    )


def guest_pci(scene: GuestScene, check: Check) -> Result:
    """PCI functions as the guest sees them: ids, interrupt, sizes of its BARs; none uses MSI."""
    text = scene.guests[0].run(
        "for d in /sys/bus/pci/devices/*; do echo F ${d##*/} $(cat $d/vendor $d/device $d/irq) "
        '$([ -n "$(ls $d/msi_irqs 2>/dev/null)" ] && echo msi); head -6 $d/resource; done'
    )[1]
    functions, msi = [], []
    for block in re.split(r"^F ", text, flags=re.MULTILINE)[1:]:
        first, *rows = block.splitlines()
        words = first.split()
        bars = [f"{number} {_size(row)}" for number, row in enumerate(rows) if _size(row)]
        functions.append(
            f"{words[0]} {words[1][2:]}:{words[2][2:]} irq {words[3]} BARs {', '.join(bars) or 'none'}"
        )
        msi += [words[0]] if "msi" in words[4:] else []
    network = [line for line in functions if "1af4:1000" in line]
    ok = bool(network) and "BARs 0 0x20" in network[0] and not msi
    shown = network[0] if network else "no virtio card"
    return judged(
        ok, f"{shown}; {len(functions)} functions, MSI used by {', '.join(msi) or 'none'}", excerpt=functions
    )


def _size(row: str) -> str:
    words = row.split()
    if len(words) != 3 or words[1] == "0x0000000000000000":
        return ""
    return hex(int(words[1], 16) - int(words[0], 16) + 1)


def guest_tunnel(scene: GuestScene, check: Check) -> Result:
    """Two guests bring up WireGuard by console commands, and ping through it."""
    keys = new_keys(), new_keys()
    card = _card(scene.guests[0])
    if card is None:
        return judged(False, "the guest has no network card")
    for number, guest in enumerate(scene.guests):
        for line in _tunnel_lines(number, keys[number].private, keys[1 - number].public, card):
            code, text = guest.run(line)
            if code:
                return judged(
                    False, f"{guest.name}: {line.split()[0]} failed: {text.strip() or code}", excerpt=[line]
                )
    _code, pings = scene.guests[0].run("ping -c 3 -W 5 10.0.0.2", 40)
    told = scene.guests[1].run("wg show wg0 transfer")[1].split()
    answered = re.search(r"(\d+) packets received", pings) or re.search(r"(\d+) received", pings)
    count = int(answered[1]) if answered else 0
    received = int(told[1]) if len(told) == 3 else 0
    return judged(
        count == 3 and received >= 3 * 84, f"{count}/3 answered; wg counted {received} bytes into guest-1"
    )


def guest_clock(scene: GuestScene, check: Check) -> Result:
    """Each guest has the clock of this host: one of the past is refused by WireGuard after a restart."""
    limit_s = float(check.params.get("limit_s", 60))
    apart_s = {guest.name: _apart_s(guest) for guest in scene.guests}
    unread = [name for name, each in apart_s.items() if each is None]
    if unread:
        return judged(False, f"`date +%s` gave no number in {', '.join(unread)}")
    told = {name: each for name, each in apart_s.items() if each is not None}
    wrong = [name for name, each in told.items() if abs(each) > limit_s]
    text = ", ".join(f"{name} {each:+.0f} s" for name, each in told.items())
    why = (
        "a peer refuses a handshake older than the last one it took: set the clock before the tunnel starts"
        if wrong
        else "from QEMU's RTC; under the VMM its own RTC component gives it"
    )
    return judged(not wrong, f"from this host's clock: {text} (at most {limit_s:g} s); {why}", apart_s=told)


def _apart_s(guest: Guest) -> float | None:
    """Return how far a guest's clock is ahead of this host's, which goes on while it is asked."""
    asked_s = time.time()
    words = guest.run("date +%s")[1].split()
    answered_s = time.time()
    if not words or not words[-1].isdigit():
        return None
    told_s = float(words[-1])
    return told_s - max(asked_s - 1, min(told_s, answered_s))


def _card(guest: Guest) -> str | None:
    names = guest.run("ls /sys/class/net")[1].split()
    return next((name for name in names if name.startswith(("eth", "en"))), None)


def _tunnel_lines(number: int, private: str, peer: str, card: str) -> tuple[str, ...]:
    """Return the commands of one end, each short enough for a console."""
    own, far = number + 1, 2 - number
    return (
        f"ip addr add 192.168.1.{own}0/24 dev {card}",
        f"ip link set {card} up",
        "ip link add wg0 type wireguard",
        f"echo {private} > /tmp/k",
        f"wg set wg0 private-key /tmp/k listen-port {_PORT}",
        f"wg set wg0 peer {peer} allowed-ips 10.0.0.{far}/32",
        f"wg set wg0 peer {peer} endpoint 192.168.1.{far}0:{_PORT}",
        f"ip addr add 10.0.0.{own}/24 dev wg0",
        "ip link set wg0 up",
    )
