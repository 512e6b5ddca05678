"""A board and its profile as text for a technician: what holds, how well it is known, what to check."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from typing import Any

from bringup.base.size import rough_size
from bringup.base.stage import BOOT_STAGES
from bringup.lab.identity import Identity
from bringup.lab.inventory import Board
from bringup.profile.model import BiosSetting, ExpectedBar, ExpectedNic, Fact, Profile
from bringup.report.style import emphasis, table

_WIDTH = 118
_LABEL = 10
_UNKNOWN = "not observed"
_NIC_HEADERS = ("name", "id", "subsystem", "seen at", "BARs", "INTx", "IOAPIC pin", "ACPI GSI")
_GRADES = (
    "[MED] read for a sibling or second-hand; [INF] inferred, verify it on your unit; "
    "unmarked: read for exactly this model"
)
_BAR_KIND = {"memory": "", "memory64": " 64-bit", "io": " I/O"}


def board_lines(board: Board, identity: Identity | None) -> Iterator[str]:
    """Yield how this lab reaches a board, and whose BMC it was."""
    yield _line("board", emphasis(board.name))
    if board.twin:
        yield _line("", "virtual: `bringup boot` starts it, `bringup twin up` leaves it up")
    if board.bmc:
        bmc = board.bmc
        login = f"{bmc.user}, password from {bmc.password_from}"
        yield _line("BMC", f"{bmc.address} port {bmc.port}, user {login}")
        yield _line("", f"{identity.bmc}, since {identity.since}" if identity else "not met yet")
    if board.power != "ipmi":
        yield _line("power", f"driver {board.power}")
    if board.macs:
        others = [mac for mac in board.macs if mac != board.boot_mac]
        yield _line(
            "boots", f"from {board.boot_mac}" + (f"; also its own: {', '.join(others)}" if others else "")
        )
    if board.network:
        network = board.network
        given = f", the board gets {network.board_address}" if network.board_address else ""
        yield _line("network", f"{network.interface}, {network.mode}, this host {network.address}{given}")
    rate = f", {board.baud} baud" if board.baud else ""
    port = "" if board.console_port is None else f", the board's serial port {board.console_port:#x}"
    yield _line("console", board.reader + port + rate)
    yield ""


def board_json(board: Board | None, identity: Identity | None, profile: Profile) -> dict[str, Any]:
    """Return a board, if it is one, whose BMC it was, and its profile as plain JSON data."""
    known = None if identity is None else {"bmc": identity.bmc, "since": identity.since}
    return {
        "board": board and {**board.to_dict(), "identity": known},
        "profile": profile.to_dict(),
        "unconfirmed": profile.unconfirmed(),
    }


def profile_lines(profile: Profile) -> Iterator[str]:
    """Yield a profile: identity, console, BMC, boot, NICs, times, settings to check, notes and sources."""
    yield _line("profile", f"{emphasis(profile.name)}  {profile.title}")
    yield from _wrapped("", profile.summary)
    yield from _hardware(profile)
    yield from _booting(profile)
    if profile.nics:
        yield from _section("NICs", table(_NIC_HEADERS, _nics(profile)))
        yield from _models(profile)
    yield from _section("times", table(["stage", "usual", "at most", "source"], _times(profile)))
    yield from _settings(profile)
    yield ""
    for note in profile.notes:
        yield from _wrapped("note", note)
    yield ""
    used = {fact.source_key for _, fact in profile.facts()}
    for key, text in profile.sources.items():
        if key in used:
            yield from _wrapped("source", f"{key}: {text}")
    yield from _wrapped("grades", _GRADES)


def _hardware(profile: Profile) -> Iterator[str]:
    who, serial, bmc = profile.identity, profile.serial, profile.bmc
    yield _line(
        "identity",
        f"manufacturer {_show(who.manufacturer)}, system {_show(who.system_product)}, baseboard "
        f"{_show(who.baseboard_product)}, subsystem {_show(who.subsystem)}",
    )
    processor = profile.processor
    yield from _wrapped(
        "processor",
        f"hardware threads: {_show(processor.threads)}; has, of what a kernel may demand: "
        f"{_show(processor.features, _listed)}",
    )
    yield _line(
        "console",
        f"Serial-over-LAN reads I/O port {_show(serial.sol_port, hex)}; baud rate {_show(serial.baud)}",
    )
    yield _line(
        "BMC",
        f"cipher suites in order {_show(bmc.cipher_order, _listed)}; seconds between commands, at least: "
        f"{_show(bmc.min_command_spacing_s, _number)}",
    )
    yield _line(
        "",
        f"expiry of the boot override is stopped by raw {_show(bmc.stop_boot_flag_expiry, _raw)}; "
        f"selector of the UEFI disk {_show(bmc.uefi_disk_selector, hex)}"
        + ("" if bmc.boot_override is None else f"; boot override: {_show(bmc.boot_override)}"),
    )


def _booting(profile: Profile) -> Iterator[str]:
    routes, ports = profile.firmware, profile.netboot.ports
    yield _line("firmware", f"{_show(routes.supported, _listed)}; default {_show(routes.default)}")
    offered = "; ".join(f"{entry.port} ({_listed(entry.firmware)})" for entry in ports)
    yield _line("netboot", offered or f"which ports can: {_UNKNOWN}")
    pci, limits, interrupts = profile.pci, profile.hypervisor, profile.interrupts
    expected = ", ".join(f"{entry.count}x {entry.id} {entry.what}" for entry in pci.expected) or _UNKNOWN
    yield from _wrapped("PCI", f"functions seen: {_show(pci.functions_seen)}; on every unit: {expected}")
    yield from _wrapped(
        "VMM limits",
        f"{_show(limits.pci_max_devices)} PCI functions, "
        f"BARs below {_show(limits.bar_limit_bytes, rough_size)}; "
        f"INTx entries: ioapic {_show(interrupts.ioapic)}, level_trig {_show(interrupts.level_trig)}, "
        f"active_low {_show(interrupts.active_low)}",
    )


def _nics(profile: Profile) -> list[list[str]]:
    return [
        [
            nic.name + (" (optional)" if nic.optional else ""),
            _show(nic.id),
            _show(nic.subsystem),
            _show(nic.seen_at, _listed),
            _show(nic.bars, _bars),
            _show(nic.intx_pin),
            _pin(nic, profile),
            _show(nic.acpi_gsi),
        ]
        for nic in profile.nics
    ]


def _models(profile: Profile) -> Iterator[str]:
    """Yield what each NIC is, those of one kind together."""
    for model in dict.fromkeys(nic.model for nic in profile.nics):
        names = ", ".join(nic.name for nic in profile.nics if nic.model == model)
        yield from _wrapped("", f"{model}: {names}")


def _pin(nic: ExpectedNic, profile: Profile) -> str:
    if nic.ioapic_pin is None and nic.ioapic_pin_else is not None:
        return "by rule, or " + _show(
            nic.ioapic_pin_else, lambda pin: f"{profile.interrupts.ioapic.value}/{pin}"
        )
    return _show(nic.ioapic_pin, lambda pin: f"{profile.interrupts.ioapic.value}/{pin}")


def _times(profile: Profile) -> list[list[str]]:
    rows = []
    for stage in BOOT_STAGES:
        time = profile.stages.of(stage)
        rows.append(
            [str(stage), _seconds(time.expected_s), _seconds(time.timeout_s) + _mark(time.grade), time.source]
        )
    return rows


def _settings(profile: Profile) -> Iterator[str]:
    bios = profile.bios
    settings: list[BiosSetting] = [*bios.settings, *bios.lan_settings]
    if not settings:
        return
    yield ""
    yield _line("BIOS", f"settings to check (names read on {_show(bios.read_on)})")
    menu = ""
    for setting in settings:
        if setting.menu != menu:
            menu = setting.menu
            yield f"  {menu}"
        yield f"    {setting.name} = {emphasis(setting.wanted)}"
        yield f"        {setting.why} (default: {setting.default or _UNKNOWN})"


def _show(fact: Fact[Any] | None, form: Callable[[Any], str] = str) -> str:
    return _UNKNOWN if fact is None else form(fact.value) + _mark(fact.grade)


def _mark(grade: str) -> str:
    return "" if grade == "HIGH" else f" [{grade}]"


def _listed(values: tuple[Any, ...]) -> str:
    return ", ".join(str(value) for value in values)


def _raw(values: tuple[int, ...]) -> str:
    return " ".join(f"0x{value:02x}" for value in values)


def _bars(bars: tuple[ExpectedBar, ...]) -> str:
    return ", ".join(f"{bar.index}: {rough_size(bar.size_bytes)}{_BAR_KIND[bar.kind]}" for bar in bars)


def _seconds(value: float) -> str:
    return f"{_number(value)} s"


def _number(value: float) -> str:
    return f"{value:g}"


def _section(label: str, body: str) -> Iterator[str]:
    yield ""
    yield label
    yield from (f"  {line}" for line in body.splitlines())


def _line(label: str, text: str) -> str:
    return f"{label:<{_LABEL}}  {text}"


def _wrapped(label: str, text: str) -> Iterator[str]:
    for number, part in enumerate(textwrap.wrap(text, _WIDTH - _LABEL - 2, break_on_hyphens=False)):
        yield _line(label if number == 0 else "", part)
