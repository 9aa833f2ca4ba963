"""`<StartStream>` and `<StopStream>` as documents."""

from __future__ import annotations

import pytest
from bandwidth.models import bxml as vendor

from callflow.bxml import Webhook, parse_document
from callflow.bxml.limits import MAX_STREAM_PARAMS
from callflow.bxml.verbs.streams import StartStream, StopStream
from tests.unit.bxml.test_parser import read, refusal, response

AGENT = StartStream(
    name="agent",
    destination="wss://agent.example.com/voice?k=1",
    username="me",
    password="secret",
    bidirectional=True,
    tracks=("inbound", "outbound"),
    params=(("language", "en"), ("order", "")),
    events=Webhook("/stream", "GET", "u", "p"),
    line=4,
)


def test_an_agent_and_its_broken_twin() -> None:
    assert parse_document(read("agent")).verbs == (AGENT, StopStream("agent", True, 8), StopStream("other", False, 9))
    assert refusal(read("agent_broken")) == "Line 4: <StartStream> attribute 'destination' must be an absolute ws or wss URL."


def test_defaults() -> None:
    (stream,) = parse_document(response("<StartStream destination='WS://h/'/>")).verbs
    assert stream == StartStream("", "WS://h/", "", "", False, ("inbound",), (), None, 1)


@pytest.mark.parametrize(
    ("inner", "sentence"),
    [
        ("<StartStream/>", "<StartStream> needs the attribute 'destination'."),
        ("<StartStream destination='wss:///x'/>", "attribute 'destination' must be an absolute ws or wss URL."),
        ("<StartStream destination='wss://h:99999/'/>", "attribute 'destination' must be an absolute ws or wss URL."),
        (
            "<StartStream destination='ws://u@h/' destinationUsername='u'/>",
            "'destinationUsername' gives credentials that the URL carries too",
        ),
        ("<StartStream destination='ws://h/' tracks='all'/>", "attribute 'tracks' must be one of inbound, outbound, both, not 'all'."),
        ("<StartStream destination='ws://h/' mode='duplex'/>", "'mode' must be one of unidirectional, bidirectional"),
        ("<StartStream destination='ws://h/'><Pause/></StartStream>", "<StartStream> can hold only <StreamParam>, not <Pause>."),
        ("<StartStream destination='ws://h/'><StreamParam value='v'/></StartStream>", "<StreamParam> needs the attribute 'name'."),
        (
            f"<StartStream destination='ws://h/'><StreamParam name='n' value='{'v' * 2049}'/></StartStream>",
            "<StreamParam> attribute 'value' is longer than 2048 characters.",
        ),
        ("<StopStream/>", "<StopStream> needs the attribute 'name'."),
        ("<StopStream name='x' wait='perhaps'/>", "<StopStream> attribute 'wait' must be true or false"),
    ],
)
def test_refusals_name_element_attribute_and_rule(inner: str, sentence: str) -> None:
    assert sentence in refusal(response(inner))


def test_parameters_are_bounded() -> None:
    param = "<StreamParam name='n' value='v'/>"
    assert parse_document(response(f"<StartStream destination='ws://h/'>{param * MAX_STREAM_PARAMS}</StartStream>")).verbs
    assert "at most 12 parameters" in refusal(response(f"<StartStream destination='ws://h/'>{param * 13}</StartStream>"))


def test_documents_of_the_vendors_sdk() -> None:
    start = vendor.StartStream(
        destination="wss://agent.example.com/voice?k=1",
        destination_username="me",
        destination_password="secret",
        stream_params=[vendor.StreamParam("language", "en"), vendor.StreamParam("order", "")],
        name="agent",
        mode="bidirectional",
        tracks="both",
        stream_event_url="/stream",
        stream_event_method="GET",
        username="u",
        password="p",
    )
    document = vendor.Response([start, vendor.StopStream("agent", True)]).to_bxml()
    stream, stop = parse_document(document.encode()).verbs
    assert isinstance(stream, StartStream)
    assert (stream.name, stream.params, stream.events) == (AGENT.name, AGENT.params, AGENT.events)
    assert stop == StopStream("agent", True, 2)
