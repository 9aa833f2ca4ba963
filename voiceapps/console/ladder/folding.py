"""Steps as rows: in the order of time, repetitions folded, pauses named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from voiceapps.console.ladder.reading import Kind, Lane, Step
from voiceapps.console.ladder.text import MAX_LABEL, cut
from voiceapps.rules.diagnosis.visible import visible_line

GAP_SECONDS = 1.0
"""A longer pause is a row of its own."""
REPEAT_SECONDS = 32.0
"""How long after a message its repetitions come: 64 * T1 (RFC 3261 17.1.1.2)."""
MIN_KEEPALIVES = 3
"""Fewer of them are shown one by one."""
_KEEPALIVE = "OPTIONS"


@dataclass(frozen=True, slots=True)
class Folded:
    """Steps in one row, in the order of time: what was retransmitted, or keep-alives with their answers."""

    steps: tuple[Step, ...]
    label: str

    @property
    def first(self) -> Step:
        """The step in whose place the row is."""
        return self.steps[0]

    @property
    def last(self) -> Step:
        """The last one that is folded into it."""
        return self.steps[-1]

    @property
    def note(self) -> str:
        """Until when it went on."""
        return f"last at {self.last.seconds:.3f} s"

    @property
    def ways(self) -> frozenset[tuple[Lane, Lane]]:
        """From which lane to which its steps went."""
        return frozenset((step.source, step.target) for step in self.steps)


@dataclass(frozen=True, slots=True)
class Gap:
    """A pause in which nothing happened."""

    seconds: float

    @property
    def label(self) -> str:
        """How it is named."""
        return f"⋮ {self.seconds:.1f} s"


Row = Step | Folded | Gap


def rows(steps: Sequence[Step]) -> list[Row]:
    """Return the steps in the order of time, with repetitions folded and pauses named.

    Two things are folded, where nothing else came between their steps. Copies of a message within `REPEAT_SECONDS` of the first
    one: only messages of the same request, that is its copies, its answers and its ACK on both legs, may lie between. And
    keep-alives: OPTIONS that were answered, and by no refusal, with their answers.
    """
    ordered = sorted(steps, key=lambda step: (step.seconds, step.number))
    return list(_with_gaps(_folded(ordered)))


def _folded(ordered: Sequence[Step]) -> Iterator[Step | Folded]:
    alive = _keepalives(ordered)
    for is_alive, run in groupby(ordered, lambda step: _exchange_of(step) in alive):
        together = list(run)
        count = len({_exchange_of(step) for step in together if step.kind is Kind.REQUEST}) if is_alive else 0
        if count >= MIN_KEEPALIVES:
            yield Folded(tuple(together), f"OPTIONS and answers × {count} (keep-alive)")
        else:
            for exchange, part in groupby(together, _exchange_of):
                of_one = list(part)
                yield from _without_repetitions(of_one) if exchange else of_one


def _exchange_of(step: Step) -> str:
    return step.exchange or step.identity


def _keepalives(steps: Iterable[Step]) -> frozenset[str]:
    """Return the exchanges that are nothing but keep-alives; one that was refused or not answered deserves a row of its own."""
    asked, answered, refused = set[str](), set[str](), set[str]()
    for step in steps:
        if step.kind is Kind.REQUEST and step.label == _KEEPALIVE:
            asked.add(_exchange_of(step))
        elif step.kind is Kind.SUCCESS:
            answered.add(_exchange_of(step))
        elif step.kind is Kind.FAILURE:
            refused.add(_exchange_of(step))
    return frozenset((asked & answered) - refused - {""})


def _without_repetitions(steps: Iterable[Step]) -> Iterator[Step | Folded]:
    copies: list[list[Step]] = []
    latest: dict[tuple[str, Lane, Lane, str], list[Step]] = {}
    for step in steps:
        group = latest.get(step.key)
        if group is not None and step.seconds - group[0].seconds <= REPEAT_SECONDS:
            group.append(step)
        else:
            latest[step.key] = [step]
            copies.append(latest[step.key])
    for group in copies:
        yield group[0] if len(group) == 1 else Folded(tuple(group), _repeated(group))


def _repeated(copies: Sequence[Step]) -> str:
    first = copies[0]
    # What one proxy passes on to another is stored by both.
    why = "between proxies" if first.source is first.target else "retransmitted"
    count = f" × {len(copies)} ({why})"
    return cut(visible_line(first.label), MAX_LABEL - len(count)) + count


def _with_gaps(folded: Iterable[Step | Folded]) -> Iterator[Row]:
    until: float | None = None
    for row in folded:
        if until is not None and row.first.seconds - until > GAP_SECONDS:
            yield Gap(row.first.seconds - until)
        until = row.last.seconds if until is None else max(until, row.last.seconds)
        yield row
