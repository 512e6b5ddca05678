"""The topology as one self-contained SVG file: no script, no font, nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape

from bringup.pci.assessment import Assessment
from bringup.report.pci.layout import (
    FONT,
    HEAD,
    LINE,
    MARGIN,
    PAD,
    Box,
    Panel,
    Picture,
    Wire,
    lay_out,
)
from bringup.report.pci.text import headline
from bringup.report.style import colourless
from bringup.report.xml import NOT_XML

# kind -> (fill, line, what the legend says)
_KINDS = {
    "passable": ("#dff3e1", "#2b7a3b", "Ethernet, passable to a VM"),
    "needs-change": ("#fdf0cd", "#a86b00", "Ethernet, needs a change first"),
    "not-passable": ("#fadfdc", "#b3261e", "Ethernet, not passable"),
    "unknown": ("#e7e9ef", "#4a5568", "Ethernet, not enough observed"),
    "bridge": ("#e3edf9", "#2a5d9f", "bridge"),
    "other": ("#ffffff", "#b8c0cc", "other functions (of a device: together)"),
}
_STYLE = (
    f"text{{font:{FONT}px 'DejaVu Sans Mono',Menlo,Consolas,monospace;fill:#1a202c}}"
    ".h{font-weight:bold}.s{fill:#4a5568}.p{fill:#f7f8fa;stroke:#d5dae1}.w{fill:none;stroke:#2a5d9f;stroke-width:1.5}"
    + "".join(f".{kind}{{fill:{fill};stroke:{line}}}" for kind, (fill, line, _) in _KINDS.items())
)
_LEGEND = 24


def svg(assessment: Assessment) -> str:
    """Return the picture of an assessed machine."""
    heads = [colourless(line) for line in headline(assessment, 130)]
    top = MARGIN + len(heads) * LINE + _LEGEND + 16
    picture = lay_out(assessment, top=top)
    return "\n".join(_document(picture, heads)) + "\n"


def _document(picture: Picture, heads: list[str]) -> Iterator[str]:
    width, height = picture.width, picture.height
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}" role="img">'
    )
    yield f"<title>{_text('PCI topology: ' + heads[0])}</title>"
    yield f"<style>{_STYLE}</style>"
    yield f'<rect width="{width:g}" height="{height:g}" fill="#fff"/>'
    for number, line in enumerate(heads):
        yield _label(MARGIN, MARGIN + (number + 0.7) * LINE, line, "s" if number else "h")
    yield from _legend(MARGIN + len(heads) * LINE + 10, width)
    for panel in picture.panels:
        yield from _panel(panel, width)
    for wire in picture.wires:
        yield from _wire(wire)
    for box in picture.boxes:
        yield from _box(box)
    yield "</svg>"


def _legend(y: float, width: float) -> Iterator[str]:
    step = (width - 2 * MARGIN) / len(_KINDS)
    for number, (kind, (_, _, words)) in enumerate(_KINDS.items()):
        x = MARGIN + number * step
        yield f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="14" height="14" rx="3"/>'
        first, _, rest = words.partition(", " if kind != "other" else " (")
        yield _label(x + 20, y + 8, first, "s")
        if rest:
            yield _label(x + 20, y + 20, rest.rstrip(")"), "s")


def _panel(panel: Panel, width: float) -> Iterator[str]:
    across = width - 2 * MARGIN
    yield (
        f'<rect class="p" x="{MARGIN}" y="{panel.y:g}" width="{across:g}" height="{panel.height:g}" rx="6"/>'
    )
    yield _label(MARGIN + PAD, panel.y + HEAD * 0.65, panel.title, "h")


def _wire(wire: Wire) -> Iterator[str]:
    """Yield a bus: out of the bridge, down, and into each box on it."""
    trunk = wire.x1 + (wire.x2 - wire.x1) * 0.6
    path = f"M{wire.x1:g} {wire.y1:g}H{trunk:g}V{max(wire.ys):g}"
    path += "".join(f"M{trunk:g} {y:g}H{wire.x2:g}" for y in wire.ys)
    yield f'<path class="w" d="{path}"/>'
    yield _label(wire.x1 + 8, wire.y1 - 4, wire.label, "s")


def _box(box: Box) -> Iterator[str]:
    yield f"<g><title>{_text(box.title)}</title>"
    yield (
        f'<rect class="{box.kind}" x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" '
        f'height="{box.height:g}" rx="4"/>'
    )
    for number, line in enumerate(box.lines):
        yield _label(box.x + 8, box.y + 4 + (number + 0.8) * LINE, line, "" if number else "h")
    yield "</g>"


def _label(x: float, y: float, text: str, style: str) -> str:
    kind = f' class="{style}"' if style else ""
    return f'<text{kind} x="{x:g}" y="{y:g}" xml:space="preserve">{_text(text)}</text>'


def _text(text: str) -> str:
    return escape(NOT_XML.sub("?", text))  # `clean` keeps such out of names already
