"""Rows as SVG, and as a list for narrow screens.

Colours and fonts are classes of `console.css`. All text may come from the wire: it is escaped, cut, and holds nothing unseen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from voiceapps.console.ladder.folding import Folded, Gap, Row
from voiceapps.console.ladder.reading import Kind, Lane, Step
from voiceapps.console.ladder.text import cut
from voiceapps.rules.diagnosis.visible import visible_line

MAX_ROWS = 400
_LAST_ROWS = 100
"""Of these, the rows at the end of the call."""
_MAX_TITLE = 30

_WIDTH, _FIRST_LANE, _PITCH = 960, 96, 256
_TOP, _ROW_HEIGHT, _GAP_HEIGHT, _BOTTOM = 44, 30, 22, 8
_TIME = 8
"""Where the column of times begins."""
_LETTER = 6
"""The width of a letter in a box, or more."""
_HEADS = {Kind.SUCCESS: "success", Kind.FAILURE: "failure"}
_MARKERS = format_html_join(
    "",
    '<marker id="sipuri-ladder-head-{0}" class="sipuri-ladder-{0}" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="9" markerHeight="9"'
    ' markerUnits="userSpaceOnUse" orient="auto"><path class="sipuri-ladder-head" d="M0 0 8 4 0 8z"/></marker>',
    [("request",), ("success",), ("failure",)],
)

Titles = Mapping[Lane, tuple[str, str]]
"""The name of each lane, and the address below it."""
Link = Callable[[Step], str]


@dataclass(frozen=True, slots=True)
class _LeftOut:
    """Rows that are not drawn."""

    count: int
    """Of their steps."""

    @property
    def label(self) -> str:
        return f"⋮ {self.count} left out"


_Drawn = Row | _LeftOut


def svg(rows: Sequence[Row], titles: Titles, *, link: Link) -> SafeString:
    """Return the ladder as SVG; each step is a link that says in words what it is."""
    drawn = _bounded(rows)
    painter = _Painter(titles, _places(drawn), link)
    parts, y = [], _TOP
    for row in drawn:
        parts.append(painter.row(row, y))
        y += _ROW_HEIGHT if isinstance(row, Step | Folded) else _GAP_HEIGHT
    return format_html(
        '<svg xmlns="http://www.w3.org/2000/svg" class="sipuri-ladder" viewBox="0 0 {} {}" width="100%" role="group"'
        ' aria-label="Ladder of the call"><defs>{}</defs>{}{}</svg>',
        _WIDTH,
        y + _BOTTOM,
        _MARKERS,
        painter.lanes(y + _BOTTOM),
        _joined(parts),
    )


def as_list(rows: Sequence[Row], titles: Titles, link: Link) -> SafeString:
    """Return the same as an ordered list."""
    return format_html('<ol class="sipuri-ladder-list">{}</ol>', _joined(_entry(row, titles, link) for row in _bounded(rows)))


def _entry(row: _Drawn, titles: Titles, link: Link) -> SafeString:
    if isinstance(row, Gap | _LeftOut):
        return format_html('<li class="sipuri-ladder-gap">{}</li>', row.label)
    first = row.first
    way = note = ""
    words = _sentence(row)
    if not _is_box(row):
        way, words = f"{_name(first.source, titles)} → {_name(first.target, titles)} · ", cut(visible_line(row.label))
        note = f" · {visible_line(row.note)}" if row.note else ""
    return format_html(
        '<li class="sipuri-ladder-{}"><a href="{}" data-step="{}">{} s · {}<bdi>{}</bdi>{}</a></li>',
        first.kind.value,
        link(first),
        first.number,
        f"{first.seconds:.3f}",
        way,
        words,
        note,
    )


def _bounded(rows: Sequence[Row]) -> Sequence[_Drawn]:
    """Return at most `MAX_ROWS` rows, the first and the last ones, and between them how many steps are missing."""
    if len(rows) <= MAX_ROWS:
        return rows
    ends = _ends(rows)
    others = [index for index in range(len(rows)) if index not in ends]
    kept = sorted({*ends, *others[: MAX_ROWS - _LAST_ROWS - len(ends)], *others[-_LAST_ROWS:]})
    drawn: list[_Drawn] = []
    for before, index in zip([-1, *kept], kept, strict=False):
        missing = sum(map(_count, rows[before + 1 : index]))
        drawn += [_LeftOut(missing), rows[index]] if missing else [rows[index]]
    return drawn


def _ends(rows: Sequence[Row]) -> set[int]:
    """Return where the first INVITE and the last BYE are."""
    requests = [
        (index, row.first.label) for index, row in enumerate(rows) if isinstance(row, Step | Folded) and row.first.kind is Kind.REQUEST
    ]
    invites, byes = ([index for index, label in requests if label == method] for method in ("INVITE", "BYE"))
    return {*invites[:1], *byes[-1:]}


def _count(row: Row) -> int:
    return len(row.steps) if isinstance(row, Folded) else int(isinstance(row, Step))


def _places(drawn: Iterable[_Drawn]) -> dict[Lane, int]:
    """Return where the lanes are in which something happens."""
    ways = [way for row in drawn if isinstance(row, Step | Folded) for way in _ways(row)]
    used = {lane for way in ways for lane in way}
    return {lane: _FIRST_LANE + index * _PITCH for index, lane in enumerate(lane for lane in Lane if lane in used)}


def _ways(row: Step | Folded) -> frozenset[tuple[Lane, Lane]]:
    return row.ways if isinstance(row, Folded) else frozenset({(row.source, row.target)})


def _is_box(row: Step | Folded) -> bool:
    """Return whether a row has no one direction, so that no arrow says it."""
    return row.first.kind is Kind.NOTICE or len(_ways(row)) > 1


def _sentence(row: Step | Folded) -> str:
    """Return what stands in a box."""
    sign, note = "⚠ " if row.first.kind is Kind.NOTICE else "", f", {row.note}" if row.note else ""
    return visible_line(f"{sign}{row.label}{note}")


def _name(lane: Lane, titles: Titles) -> str:
    """Return a lane's name as it stands in a sentence."""
    return visible_line(titles.get(lane, (lane.value, ""))[0].lower())


def _words(row: Step | Folded, titles: Titles) -> str:
    first = row.first
    way = "" if _is_box(row) else f" from {_name(first.source, titles)} to {_name(first.target, titles)}"
    return visible_line(f"{first.seconds:.3f} s: {row.label}{way}{', ' if row.note else ''}{row.note}")


@dataclass(frozen=True, slots=True)
class _Painter:
    """Draws rows into lanes; `y` is a row's upper edge."""

    titles: Titles
    places: Mapping[Lane, int]
    link: Link

    def lanes(self, height: int) -> SafeString:
        """Return the lanes with their titles."""
        return _joined(self._lane(lane, x, height) for lane, x in self.places.items())

    def _lane(self, lane: Lane, x: int, height: int) -> SafeString:
        name, address = self.titles.get(lane, (lane.value, ""))
        title = _text("name", x, 14, cut(visible_line(name), _MAX_TITLE)) + _text("address", x, 29, cut(visible_line(address), _MAX_TITLE))
        return format_html('{}<line class="sipuri-ladder-lane" x1="{}" y1="38" x2="{}" y2="{}"/>', title, x, x, height)

    def row(self, row: _Drawn, y: int) -> SafeString:
        """Return a row."""
        if isinstance(row, Gap | _LeftOut):
            return _pause(row.label, y)
        first, words = row.first, _words(row, self.titles)
        return format_html(
            '<a class="sipuri-ladder-step sipuri-ladder-{}" href="{}" tabindex="0" data-step="{}"><title>{}</title>'
            '<rect class="sipuri-ladder-hit" x="1" y="{}" width="{}" height="{}" rx="3"/>{}{}</a>',
            first.kind.value,
            self.link(first),
            first.number,
            words,
            y + 1,
            _WIDTH - 2,
            _ROW_HEIGHT - 2,
            _text("time", _TIME, y + 21, f"{first.seconds:.3f}", "start"),
            self._box(row, y) if _is_box(row) else self._arrow(row, y + 17),
        )

    def _arrow(self, row: Step | Folded, y: int) -> SafeString:
        first = row.first
        start, end = self.places[first.source], self.places[first.target]
        line = f"M{start} {y}H{end}"
        if start == end:
            # A loop, and its words beside it.
            line, end = f"M{start} {y - 4}h24v8h-24", start + _PITCH
        middle = (start + end) // 2
        return format_html(
            '<path class="sipuri-ladder-arrow{}" d="{}" marker-end="url(#sipuri-ladder-head-{})"/>{}{}',
            " sipuri-ladder-dashed" if first.target is Lane.WEBHOOK else "",
            line,
            _HEADS.get(first.kind, "request"),
            _text("label", middle, y - 5, cut(visible_line(row.label))),
            _text("note", middle, y + 11, cut(visible_line(row.note))),
        )

    def _box(self, row: Step | Folded, y: int) -> SafeString:
        is_notice = row.first.kind is Kind.NOTICE
        beside = {Lane.WEBHOOK} if is_notice else set(Lane) - {lane for way in _ways(row) for lane in way}
        over = [x for lane, x in self.places.items() if lane not in beside] or list(self.places.values())
        left, width = min(over), max(max(over) - min(over), _PITCH)
        return format_html(
            '<rect class="sipuri-ladder-box" x="{}" y="{}" width="{}" height="22" rx="3"/>{}',
            left,
            y + 4,
            width,
            _text("sentence", left + 10, y + 19, cut(_sentence(row), (width - 20) // _LETTER), "start"),
        )


def _pause(label: str, y: int) -> SafeString:
    words, begin = _text("time", _TIME, y + 15, label, "start"), _TIME + (len(label) + 1) * _LETTER
    line = '{}<path class="sipuri-ladder-pause" d="M{} {}H{}"/>'
    return format_html(line, words, begin, y + 11, _WIDTH - _TIME)


def _text(style: str, x: int, y: int, words: str, anchor: str = "middle") -> SafeString:
    if not words:
        return SafeString()
    return format_html('<text class="sipuri-ladder-{}" x="{}" y="{}" text-anchor="{}">{}</text>', style, x, y, anchor, words)


def _joined(parts: Iterable[SafeString]) -> SafeString:
    return format_html_join("", "{}", ((part,) for part in parts))
