"""Check a document for its author: every verb that is wrong, where a call would stop at the first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lxml.etree import _Element

from callflow.bxml.element import line_of
from callflow.bxml.errors import BxmlError
from callflow.bxml.limits import MAX_FAULTS
from callflow.bxml.parser import read_root, read_verb


@dataclass(frozen=True, slots=True)
class VerbLine:
    """A verb as it stands in the document."""

    name: str
    line: int
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Fault:
    """One rule that the document breaks; the line is None where it is about the whole of it."""

    line: int | None
    description: str


@dataclass(frozen=True, slots=True)
class Check:
    """The verbs that a call would run, in their order, and what is wrong with the others: at most `MAX_FAULTS`, then the check stops."""

    verbs: tuple[VerbLine, ...]
    faults: tuple[Fault, ...]

    @property
    def valid(self) -> bool:
        """Tell whether a call would take the document."""
        return not self.faults


def check(data: bytes) -> Check:
    """Return what a document holds and every fault of it; never raises."""
    try:
        root = read_root(data)
    except BxmlError as error:
        return Check((), (Fault(error.line, error.message),))
    verbs: list[VerbLine] = []
    faults: list[Fault] = []
    for child in root:
        try:
            read_verb(child)
        except BxmlError as error:
            faults.append(Fault(error.line, error.message))
            if len(faults) == MAX_FAULTS:
                break
        else:
            verbs.append(_verb_line(child))
    return Check(tuple(verbs), tuple(faults))


def _verb_line(element: _Element) -> VerbLine:
    return VerbLine(str(element.tag), line_of(element), {str(name): str(value) for name, value in element.attrib.items()})
