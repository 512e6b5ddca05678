"""Throughput over the runs of a target as a picture: a panel per way, a colour per image, its band; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

from bringup.base.size import counted
from bringup.jobs.history import Measured, bands
from bringup.report.xml import shown

_WIDTH, _LEFT, _RIGHT, _TOP = 960, 64, 20, 14
_PANEL, _PLOT, _LINE = 142, 96, 18
# Apart for all kinds of sight (Okabe and Ito), and on light and dark paper.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_EARLIER = "#8b949e"
_NEAR = 64
_ROUND = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)
_STYLE = (
    ".rates text{font:12px system-ui,'DejaVu Sans',sans-serif;fill:currentColor}"
    ".rates .faint{opacity:.7;font-size:11px}"
    ".rates .grid{stroke:currentColor;opacity:.18}.rates .gap{fill:none;stroke:currentColor;opacity:.6}"
    ".rates .way{font-weight:600}.rates polyline{fill:none;stroke-width:1.8}.rates .band{opacity:.16}"
)


def history_svg(target: str, history: Sequence[Measured], *, alone: bool) -> str:
    """Return the picture; `alone` as a file of its own, on white paper. Empty without a run that measured."""
    ways = list(dict.fromkeys(way for each in history for way in each.rates))
    if not ways:
        return ""
    images = list(dict.fromkeys(each.image for each in history))
    legend = images[-len(_COLOURS) :]
    # An image keeps its colour when another one follows.
    colours = {image: _COLOURS[images.index(image) % len(_COLOURS)] for image in legend}
    top = _TOP + _LINE * (len(legend) + (2 if len(legend) < len(images) else 1)) + 10
    height = top + _PANEL * len(ways) + 24
    title = f"{target}: Mbit/s by the receiver's count, {counted(len(history), 'run')}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="rates" viewBox="0 0 {_WIDTH} {height}" role="img"'
        + (f' width="{_WIDTH}" height="{height}">' if alone else ">"),
        f"<title>{_text(title)}</title>",
        f"<style>{_STYLE}</style>",
        *([f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>'] if alone else []),
        *_legend(title, legend, colours, earlier=len(legend) < len(images)),
    ]
    for number, way in enumerate(ways):
        parts += _panel(_Panel(way, top + number * _PANEL, tuple(history), colours))
    parts += [*_days(history, top + _PANEL * len(ways)), "</svg>"]
    return "\n".join(parts)


def _legend(title: str, images: Sequence[str], colours: Mapping[str, str], *, earlier: bool) -> Iterator[str]:
    yield f'<text class="way" x="{_LEFT}" y="{_TOP + 6}">{_text(title)}</text>'
    words = [(colours[image], image) for image in images]
    words += [(_EARLIER, "earlier images")] if earlier else []
    for number, (colour, text) in enumerate(words, 1):
        y = _TOP + number * _LINE
        yield f'<rect x="{_LEFT}" y="{y}" width="12" height="12" rx="2" fill="{colour}"/>'
        yield f'<text x="{_LEFT + 18}" y="{y + 10}">{_text(text)}</text>'
    yield (
        f'<text class="faint" x="{_WIDTH - _RIGHT}" y="{_TOP + 6}" text-anchor="end">'
        "shaded: lowest to highest of the image · ○ not observed</text>"
    )


@dataclass(frozen=True, slots=True)
class _Panel:
    """One way: where its plot begins, and the scale of it."""

    way: str
    y: int
    history: tuple[Measured, ...]
    colours: Mapping[str, str]

    @property
    def most(self) -> float:
        """The top of the scale: a round number above every figure."""
        highest = max((rate for each in self.history if (rate := each.rates.get(self.way))), default=1.0)
        power: float = 10.0 ** (len(str(int(highest))) - 1)
        return next(power * factor for factor in _ROUND if power * factor >= highest)

    @property
    def bottom(self) -> float:
        """Where 0 is."""
        return self.y + 22 + _PLOT

    def at(self, rate: float) -> float:
        """Where a rate is."""
        return self.bottom - rate / self.most * _PLOT


def _x(index: int, count: int) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (index + 0.5) / count


def _panel(panel: _Panel) -> Iterator[str]:
    yield f'<text class="way" x="{_LEFT}" y="{panel.y + 12}">{_text(panel.way)}</text>'
    for share in (0.0, 0.5, 1.0):
        rate = panel.most * share
        y = panel.at(rate)
        yield f'<line class="grid" x1="{_LEFT}" y1="{y:g}" x2="{_WIDTH - _RIGHT}" y2="{y:g}"/>'
        yield f'<text class="faint" x="{_LEFT - 8}" y="{y + 4:g}" text-anchor="end">{rate:g}</text>'
    limits = {band.image: band for band in bands(panel.history) if band.way == panel.way}
    places = enumerate(panel.history)
    for image, stretch in groupby(places, key=lambda place: place[1].image):
        runs = list(stretch)
        colour = panel.colours.get(image, _EARLIER)
        if (band := limits.get(image)) is not None:
            half = (_WIDTH - _LEFT - _RIGHT) / len(panel.history) / 2
            left, right = (_x(runs[end][0], len(panel.history)) for end in (0, -1))
            left, across = left - half, right - left + 2 * half
            top, height = panel.at(band.high), max(1.0, panel.at(band.low) - panel.at(band.high))
            yield (
                f'<rect class="band" x="{left:.1f}" y="{top:.1f}" width="{across:.1f}" '
                f'height="{height:.1f}" fill="{colour}"/>'
            )
        yield from _stretch(panel, runs, colour)


def _stretch(panel: _Panel, runs: Sequence[tuple[int, Measured]], colour: str) -> Iterator[str]:
    """Yield the runs of one image that follow each other: joined, but where nothing was observed."""
    count = len(panel.history)
    for observed, part in groupby(
        runs, key=lambda place: panel.way in place[1].rates and place[1].rates[panel.way] is not None
    ):
        points = [(_x(index, count), each) for index, each in part]
        if observed:
            line = " ".join(f"{x:.1f},{panel.at(each.rates[panel.way] or 0):.1f}" for x, each in points)
            yield f'<polyline points="{line}" stroke="{colour}"/>'
        for x, each in points:
            rate = each.rates.get(panel.way)
            if observed and rate is not None:
                words = f"{each.run}, {each.plan}: {rate:.0f} Mbit/s ({each.image})"
                mark = f'<circle cx="{x:.1f}" cy="{panel.at(rate):.1f}" r="3.5" fill="{colour}">'
            elif panel.way in each.rates:
                words = f"{each.run}, {each.plan}: not observed ({each.image})"
                mark = f'<circle class="gap" cx="{x:.1f}" cy="{panel.bottom:.1f}" r="4">'
            else:
                continue
            yield f"{mark}<title>{_text(words)}</title></circle>"


def _days(history: Sequence[Measured], y: float) -> Iterator[str]:
    """Yield the runs' names below, as far apart as they can be read."""
    last_x = float("-inf")
    for index, each in enumerate(history):
        x = _x(index, len(history))
        if x - last_x >= _NEAR:
            last_x = x
            for line, words in enumerate((each.started[:10], each.run[-4:])):
                yield (
                    f'<text class="faint" x="{x:.1f}" y="{y - 8 + 13 * line:g}" text-anchor="middle">'
                    f"{_text(words)}</text>"
                )


def _text(words: str) -> str:
    return escape(shown(words))
