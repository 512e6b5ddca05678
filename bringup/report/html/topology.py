"""The picture of a virtual lab: two sites, the segments, the tunnel, and measured rates; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from bringup.report.xml import shown

_WIDTH, _HEIGHT = 960, 212
_BOX_W, _BOX_H = 104, 46
# Site A from the left, site B mirrored: (node, column, row); the tunnel's ends stand below.
_PLACES = {"pc": (64, 70), "vm0": (196, 70), "vm2": (340, 70), "vm1": (268, 180)}
_NAMES = {"pc": "PC", "vm0": "red", "vm1": "crypto", "vm2": "black"}


def topology_svg(lab: Mapping[str, Any], rates: Mapping[str, float], *, tunnel_ok: bool) -> str:
    """Return the picture as SVG; `lab` is the description as data, `rates` Mbit/s by way (`a-b`)."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
        f"<title>{_text(lab.get('title', ''))}</title>",
        *_wires(),
        *_tunnel(rates, tunnel_ok),
        *_site(lab["sites"]["a"], "a"),
        *_site(lab["sites"]["b"], "b"),
        *_outside(lab["outer"], rates),
        "</svg>",
    ]
    return "\n".join(parts)


def _at(role: str, site: str) -> tuple[int, int]:
    x, y = _PLACES[role]
    return (x if site == "a" else _WIDTH - x, y)


def _wires() -> Iterator[str]:
    middle = _WIDTH // 2
    for site in "ab":
        for one, two in (("pc", "vm0"), ("vm0", "vm2"), ("vm0", "vm1"), ("vm2", "vm1")):
            (x1, y1), (x2, y2) = _at(one, site), _at(two, site)
            yield f'<line class="wire" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>'
        x, y = _at("vm2", site)
        yield f'<line class="wire" x1="{x}" y1="{y}" x2="{middle}" y2="{y}"/>'
    yield f'<line class="wire" x1="{middle}" y1="70" x2="{middle}" y2="26"/>'


def _tunnel(rates: Mapping[str, float], ok: bool) -> Iterator[str]:
    (x1, y), (x2, _) = _at("vm1", "a"), _at("vm1", "b")
    state = "tunnel" if ok else "tunnel fail"
    yield f'<line class="{state}" x1="{x1}" y1="{y}" x2="{x2}" y2="{y}"/>'
    words = ["WireGuard"] if ok else ["WireGuard: no session"]
    words += [
        f"{arrow} {rates[way]:.0f} Mbit/s" for way, arrow in (("a-b", "→"), ("b-a", "←")) if way in rates
    ]
    yield f'<text x="{_WIDTH // 2}" y="{y - 8}" text-anchor="middle">{"  ".join(words)}</text>'


def _site(site: Mapping[str, Any], name: str) -> Iterator[str]:
    addresses = {
        "pc": (site["pc"],),
        "vm0": (site["gateway"], site["red"]),
        "vm1": (site["crypto"], f"wg0 {site['tunnel']}"),
        "vm2": (site["black"], site["outer"]),
    }
    for role, lines in addresses.items():
        yield from _box(*_at(role, name), f"{_NAMES[role]} {name.upper()}", lines)


def _outside(outer: Mapping[str, Any], rates: Mapping[str, float]) -> Iterator[str]:
    beside = [f"beside the tunnel {rates['a-internet']:.0f} Mbit/s"] if "a-internet" in rates else []
    yield from _box(_WIDTH // 2, 26, "Internet", (outer["web"],))
    for line in beside:
        yield f'<text class="faint" x="{_WIDTH // 2 + _BOX_W // 2 + 8}" y="30">{line}</text>'
    network = _text(outer["network"])
    yield f'<text class="faint" x="{_WIDTH // 2}" y="88" text-anchor="middle">{network}</text>'


def _box(x: int, y: int, title: str, lines: tuple[Any, ...]) -> Iterator[str]:
    left, top = x - _BOX_W // 2, y - _BOX_H // 2
    yield f'<rect class="box" x="{left}" y="{top}" width="{_BOX_W}" height="{_BOX_H}" rx="5"/>'
    yield f'<text x="{x}" y="{top + 15}" text-anchor="middle" font-weight="600">{_text(title)}</text>'
    for number, line in enumerate(lines):
        yield (
            f'<text class="faint" x="{x}" y="{top + 28 + 12 * number}" text-anchor="middle" font-size="10">'
            f"{_text(line)}</text>"
        )


def _text(told: object) -> str:
    return escape(shown(str(told)))
