"""The check for authors: every verb, every fault, and the same verdict as a call's."""

from __future__ import annotations

from pathlib import Path

import pytest

from callflow.bxml import BxmlError, parse_document
from callflow.bxml.limits import MAX_FAULTS
from callflow.bxml.lint import check
from callflow.bxml.registry import VERBS
from voiceapps.rules.document_check import Fault, VerbLine
from voiceapps.rules.masking import masked_text

DATA = Path(__file__).parents[2] / "data" / "bxml"
NAMES = {verb: name for name, verb in VERBS.items()}

MIXED = b"""<Response>
<SpeakSentence voice="julie">Hello.</SpeakSentence>
<Dance/>
<Gather gatherUrl="/g" maxDigits="4">
  <Pause/>
</Gather>
<Hangup/>
</Response>"""


def test_every_fault_has_its_line_and_every_valid_verb_is_listed() -> None:
    found = check(MIXED)
    assert found.verbs == (VerbLine("SpeakSentence", 2, {"voice": "julie"}), VerbLine("Hangup", 7, {}))
    assert [fault.line for fault in found.faults] == [3, 4]
    assert "<Dance> is not a verb" in found.faults[0].description
    assert "Line" not in found.faults[0].description
    assert found.valid is False


@pytest.mark.parametrize("document", [b"", b"<Response>", b"<Other/>", b"<!DOCTYPE x><Response/>", b"\xff", b"<Response a='1'/>"])
def test_an_unreadable_document_has_one_fault_and_no_verbs(document: bytes) -> None:
    found = check(document)
    assert found.verbs == ()
    assert len(found.faults) == 1


def test_an_empty_document_has_no_line() -> None:
    assert check(b"").faults == (Fault(None, "The document is empty; a document that only hangs up is <Response/>."),)


@pytest.mark.parametrize("url", ["http://u:secret@h:x/", "//u:secret@[h/", "http://u:se/cret@h/?a=secret"])
def test_a_fault_shows_no_secret_of_the_url_that_it_is_about(url: str) -> None:
    found = check(f"<Response><Redirect redirectUrl='{url}'/></Response>".encode())
    assert "is not a URL" in found.faults[0].description
    assert "cret" not in found.faults[0].description


def test_it_stops_when_there_are_too_many_faults() -> None:
    found = check(b"<Response>" + b"<x/>" * (MAX_FAULTS + 1) + b"<Hangup/></Response>")
    assert len(found.faults) == MAX_FAULTS
    assert found.verbs == ()


@pytest.mark.parametrize("path", sorted(DATA.glob("*.bxml")), ids=lambda path: path.stem)
def test_the_check_agrees_with_a_call(path: Path) -> None:
    document = path.read_bytes()
    try:
        verbs = parse_document(document).verbs
    except BxmlError as error:
        assert Fault(error.line, masked_text(error.message)) in check(document).faults
    else:
        assert [(verb.name, verb.line) for verb in check(document).verbs] == [(NAMES[type(verb)], verb.line) for verb in verbs]
        assert check(document).valid
