"""Check a document for its author: report every faulty verb, while a call stops at the first."""

from __future__ import annotations

from lxml.etree import _Element

from callflow.bxml.element import line_of
from callflow.bxml.errors import BxmlError
from callflow.bxml.limits import MAX_FAULTS
from callflow.bxml.parser import read_root, read_verb
from voiceapps.rules.document_check import DocumentCheck, Fault, VerbLine
from voiceapps.rules.masking import masked_attributes, masked_text


def check(data: bytes, charset: str = "") -> DocumentCheck:
    """Return the verbs of a document and its faults, at most `MAX_FAULTS`; `charset` is that of its Content-Type. Never raises."""
    try:
        root = read_root(data, charset)
    except BxmlError as error:
        return DocumentCheck((), (_fault(error),))
    verbs: list[VerbLine] = []
    faults: list[Fault] = []
    for child in root:
        try:
            read_verb(child)
        except BxmlError as error:
            faults.append(_fault(error))
            if len(faults) == MAX_FAULTS:
                break
        else:
            verbs.append(_verb_line(child))
    return DocumentCheck(tuple(verbs), tuple(faults))


def _fault(error: BxmlError) -> Fault:
    return Fault(error.line, masked_text(error.message))


def _verb_line(element: _Element) -> VerbLine:
    attributes = {str(name): str(value) for name, value in element.attrib.items()}
    return VerbLine(str(element.tag), line_of(element), masked_attributes(attributes))
