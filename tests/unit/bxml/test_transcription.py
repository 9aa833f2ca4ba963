"""The document form of verbs that have speech written down."""

from __future__ import annotations

import pytest
from bandwidth.models import bxml as vendor

from callflow.bxml import BxmlError, Webhook, parse_document
from callflow.bxml.limits import MAX_STREAM_NAME_LENGTH, MAX_STREAM_PARAMS
from callflow.bxml.verbs.transcription import MAX_LANGUAGES_LENGTH, StartTranscription, StopTranscription


def parsed(inner: str) -> object:
    (verb,) = parse_document(f"<Response>{inner}</Response>".encode()).verbs
    return verb


def test_defaults() -> None:
    assert parsed("<StartTranscription/>") == StartTranscription("", "", True, ("inbound",), ("en-US",), (), None, 1)
    assert parsed("<StopTranscription/>") == StopTranscription("", 1)


def test_documents_of_the_vendors_sdk() -> None:
    start = vendor.StartTranscription(
        name="n",
        tracks="both",
        transcription_event_url="https://h/e",
        transcription_event_method="GET",
        username="u",
        password="p",
        destination="wss://h/x",
        stabilized=False,
        custom_params=[vendor.CustomParam("a", "b")],
        detect_language=True,
        preferred_languages="en-US,fr-FR",
    )
    verbs = parse_document(vendor.Response([start, vendor.StopTranscription("n")]).to_bxml().encode()).verbs
    assert isinstance(verbs[0], StartTranscription)
    assert (verbs[0].name, verbs[0].tracks, verbs[0].destination, verbs[0].stabilized) == ("n", ("inbound", "outbound"), "wss://h/x", False)
    assert (verbs[0].languages, verbs[0].params) == (("en-US", "fr-FR"), (("a", "b"),))
    assert verbs[0].events == Webhook("https://h/e", "GET", "u", "p")
    assert verbs[1] == StopTranscription("n", 2)


@pytest.mark.parametrize(
    ("inner", "sentence"),
    [
        ("<StartTranscription tracks='all'/>", "attribute 'tracks' must be one of inbound, outbound, both, not 'all'"),
        ("<StartTranscription destination='https://h/'/>", "attribute 'destination' must be an absolute ws or wss URL"),
        ("<StartTranscription stabilized='maybe'/>", "attribute 'stabilized'"),
        (f"<StartTranscription name='{'n' * (MAX_STREAM_NAME_LENGTH + 1)}'/>", "attribute 'name'"),
        (f"<StartTranscription preferredLanguages='{'n' * (MAX_LANGUAGES_LENGTH + 1)}'/>", "attribute 'preferredLanguages'"),
        ("<StartTranscription><StreamParam name='a'/></StartTranscription>", "can hold only <CustomParam>, not <StreamParam>"),
        ("<StartTranscription><CustomParam value='a'/></StartTranscription>", "<CustomParam> needs the attribute 'name'"),
        (
            "<StartTranscription>" + "<CustomParam name='a'/>" * (MAX_STREAM_PARAMS + 1) + "</StartTranscription>",
            f"can hold at most {MAX_STREAM_PARAMS} parameters",
        ),
        ("<StartTranscription language='en'/>", "has no attribute 'language'"),
        ("<StopTranscription wait='true'/>", "has no attribute 'wait'"),
    ],
)
def test_refusals_name_element_attribute_and_rule(inner: str, sentence: str) -> None:
    with pytest.raises(BxmlError) as caught:
        parsed(inner)
    assert sentence in caught.value.message
