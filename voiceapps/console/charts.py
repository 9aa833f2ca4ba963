"""Charts as SVG, drawn on the server: bars over time, each stacked of parts. The same numbers stand in a table beside it.

The drawing has no text: its height is fixed, its width is the page's, and labels of another language or size stay outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from django.utils.safestring import SafeString

WIDTH, HEIGHT = 600, 120
"""In units of the drawing, which is stretched to its place."""
GAP = 0.15
"""Of a bar's place."""


@dataclass(frozen=True, slots=True)
class Series:
    """One part of all bars."""

    name: str
    """The class of its colour: `sipuri-bar-NAME`."""
    title: str
    values: tuple[int, ...]

    @property
    def total(self) -> int:
        """The sum over all bars."""
        return sum(self.values)


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars over time, the oldest first."""

    name: str
    """An id, of which a page has one."""
    title: str
    description: str
    labels: tuple[str, ...]
    """What is under each bar."""
    series: tuple[Series, ...]

    @property
    def heights(self) -> tuple[int, ...]:
        """The sum of each bar."""
        return tuple(map(sum, zip(*(one.values for one in self.series), strict=True))) if self.series else (0,) * len(self.labels)

    @property
    def top(self) -> int:
        """The highest bar."""
        return max(self.heights, default=0)

    def svg(self) -> SafeString:
        """Return the drawing."""
        name, scale = escape(self.name), HEIGHT / max(self.top, 1)
        bars = "".join(self._bar(place, scale) for place, height in enumerate(self.heights) if height)
        return SafeString(
            f'<svg class="sipuri-chart" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" '
            f'aria-labelledby="{name}-title {name}-desc"><title id="{name}-title">{escape(self.title)}</title>'
            f'<desc id="{name}-desc">{escape(self.description)}</desc>{bars}</svg>'
        )

    def table(self) -> SafeString:
        """Return the bars that are not empty as a table, the newest first."""
        heads = "".join(f'<th scope="col">{escape(one.title)}</th>' for one in self.series)
        filled = [place for place, height in enumerate(self.heights) if height][::-1]
        rows = "".join(f'<tr><th scope="row">{escape(self.labels[place])}</th>{self._cells(place)}</tr>' for place in filled)
        return SafeString(
            f'<table class="sipuri-table"><caption>{escape(self.description)}</caption>'
            f'<tr><th scope="col">From</th>{heads}</tr>{rows}</table>'
        )

    def _cells(self, place: int) -> str:
        return "".join(f'<td class="sipuri-number">{one.values[place]}</td>' for one in self.series)

    def _bar(self, place: int, scale: float) -> str:
        step = WIDTH / len(self.labels)
        left, width, bottom, parts = place * step + step * GAP / 2, step * (1 - GAP), float(HEIGHT), []
        for one in self.series:
            height = one.values[place] * scale
            bottom -= height
            if height:
                size = f'x="{left:.2f}" y="{bottom:.2f}" width="{width:.2f}" height="{height:.2f}"'
                parts.append(f'<rect class="sipuri-bar-{escape(one.name)}" {size}/>')
        return f"<g><title>{escape(self.labels[place])}: {escape(self._words(place))}</title>{''.join(parts)}</g>"

    def _words(self, place: int) -> str:
        return ", ".join(f"{one.values[place]} {one.title}" for one in self.series if one.values[place])


def stacked(counts: dict[str, dict[int, int]], titles: dict[str, str], places: Sequence[int]) -> tuple[Series, ...]:
    """Return the parts in the order of their titles, without those that are nowhere; `counts` is by part and place."""
    wanted = (name for name in titles if any(counts.get(name, {}).get(place) for place in places))
    return tuple(Series(name, titles[name], tuple(counts[name].get(place, 0) for place in places)) for name in wanted)
