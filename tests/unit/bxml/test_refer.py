"""`<Refer>` as a document."""

from __future__ import annotations

import pytest
from bandwidth.models import bxml as vendor
from hypothesis import given
from hypothesis import strategies as st

from callflow.bxml import BxmlError, Webhook, parse_document
from callflow.bxml.limits import MAX_SIP_URI_LENGTH, MAX_TAG_LENGTH
from callflow.bxml.lint import check
from callflow.bxml.verbs.refer import Refer
from tests.unit.bxml.test_parser import read, refusal, response

TARGET = "<SipUri>sip:bob@example.com</SipUri>"


def refer(text: str) -> bytes:
    return response(f"<Refer><SipUri>{text}</SipUri></Refer>")


def test_a_handover_and_its_broken_twin() -> None:
    target = "sips:desk;phone-context=7@branch.example.com:5071;transport=tcp?Subject=Order%207"
    assert parse_document(read("handover")).verbs[1] == Refer(target, Webhook("handed?on=1", "GET"), "branch 7", 4)
    text = target.replace("sips:desk", "https://desk")
    assert refusal(read("handover_broken")) == f"Line 5: <SipUri> text must be a sip or sips URI, not {text!r}."


def test_defaults() -> None:
    assert parse_document(response(f"<Refer>{TARGET}</Refer>")).verbs == (Refer("sip:bob@example.com", None, None, 1),)
    (cleared,) = parse_document(response(f"<Refer tag='' referCompleteUrl='' referCompleteMethod='GET'>{TARGET}</Refer>")).verbs
    assert cleared == Refer("sip:bob@example.com", None, "", 1)


@pytest.mark.parametrize(
    ("inner", "sentence"),
    [
        ("<Refer/>", "<Refer> needs exactly one <SipUri>."),
        (f"<Refer>{TARGET}{TARGET}</Refer>", "<Refer> needs exactly one <SipUri>."),
        (f"<Refer>{TARGET}<PhoneNumber>+1</PhoneNumber></Refer>", "<Refer> can hold only <SipUri>, not <PhoneNumber>."),
        (f"<Refer>now{TARGET}</Refer>", "<Refer> cannot hold text."),
        (f"<Refer>{TARGET}now</Refer>", "<Refer> cannot hold text."),
        (f"<Refer to='x'>{TARGET}</Refer>", "<Refer> has no attribute 'to'."),
        (f"<Refer username='u'>{TARGET}</Refer>", "<Refer> has no attribute 'username'."),
        (f"<Refer password='p'>{TARGET}</Refer>", "<Refer> has no attribute 'password'."),
        (f"<Refer referCompleteFallbackUrl='/f'>{TARGET}</Refer>", "<Refer> has no attribute 'referCompleteFallbackUrl'."),
        (
            f"<Refer referCompleteUrl='ftp://h/'>{TARGET}</Refer>",
            "<Refer> attribute 'referCompleteUrl' must be an http or https URL, not 'ftp'.",
        ),
        (
            f"<Refer referCompleteMethod='PUT'>{TARGET}</Refer>",
            "<Refer> attribute 'referCompleteMethod' must be one of GET, POST, not 'PUT'.",
        ),
        (f"<Refer tag='{'t' * (MAX_TAG_LENGTH + 1)}'>{TARGET}</Refer>", "<Refer> attribute 'tag' is longer than 256 characters."),
        ("<Refer><SipUri/></Refer>", "<SipUri> needs a SIP URI as its text."),
        ("<Refer><SipUri> \n </SipUri></Refer>", "<SipUri> needs a SIP URI as its text."),
        ("<Refer><SipUri uui='x'>sip:bob@h</SipUri></Refer>", "<SipUri> has no attribute 'uui'."),
        ("<Refer><SipUri>sip:<b>bob</b>@h</SipUri></Refer>", "<SipUri> cannot hold <b>."),
    ],
)
def test_refusals_name_element_attribute_and_rule(inner: str, sentence: str) -> None:
    assert refusal(response(inner)) == f"Line 1: {sentence}"


@pytest.mark.parametrize(
    "uri",
    [
        "sip:example.com",
        "SIP:+15550100@192.0.2.1",
        "sips:bob@[2001:db8::1]:5061",
        "sip:bob;x=1@example.com;user=phone;lr",
        "sip:bob@example.com?Replaces=a%3Bto-tag%3Db",
        f"sip:{'b' * (MAX_SIP_URI_LENGTH - 15)}@example.co",
    ],
)
def test_sip_uris_are_taken_as_they_are_written(uri: str) -> None:
    (verb,) = parse_document(refer(f" {uri}\n")).verbs
    assert isinstance(verb, Refer)
    assert verb.target == uri


@pytest.mark.parametrize(
    "uri",
    [
        "bob@example.com",
        "tel:+15550100",
        "https://example.com/",
        "sip:",
        "sip:@example.com",
        "sip:bob@",
        "sip:bob@example.com:99999",
        "sip:bob@example.com&gt;;a=1",
        "&lt;sip:bob@example.com&gt;",
        "sip:bob@example.com, &lt;sip:eve@example.com&gt;",
        "sip:bob@example.com&#13;&#10;X-Evil: 1",
        "sip:bob@example.com&#10;X-Evil: 1",
        "sip:bo b@example.com",
        "sip:b&#x7f;ob@example.com",
        "sip:bob@example.com;a=&quot;b&quot;",
        "sip:bøb@example.com",
        "sip:bob@exämple.com",
        "sip:bob@example.com?Subject=ä",
    ],
)
def test_what_is_no_sip_uri_is_refused_by_name(uri: str) -> None:
    assert refusal(refer(uri)).startswith("Line 1: <SipUri> text must be a sip or sips URI, not ")


def test_a_sip_uri_is_bounded() -> None:
    assert refusal(refer(f"sip:{'b' * MAX_SIP_URI_LENGTH}@h")) == f"Line 1: <SipUri> text is longer than {MAX_SIP_URI_LENGTH} characters."


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="&<]"), max_size=40))
def test_no_text_leaves_its_brackets(text: str) -> None:
    try:
        (verb,) = parse_document(refer(f"sip:bob@{text}")).verbs
    except BxmlError:
        return
    assert isinstance(verb, Refer)
    assert verb.target.isascii()
    assert verb.target.isprintable()
    assert not set(verb.target) & set(' <>"')


def test_a_document_of_the_vendors_sdk() -> None:
    verb = vendor.Refer(vendor.SipUri("sip:bob@example.com"), refer_complete_url="/done", refer_complete_method="GET", tag="t")
    (parsed,) = parse_document(vendor.Response([verb]).to_bxml().encode()).verbs
    assert parsed == Refer("sip:bob@example.com", Webhook("/done", "GET"), "t", 2)


def test_a_check_shows_it() -> None:
    document = check(response(f"<Refer referCompleteUrl='/done?key=1'>{TARGET}</Refer><Refer/>"))
    assert [(verb.name, verb.attributes) for verb in document.verbs] == [("Refer", {"referCompleteUrl": "/done?key=***"})]
    assert [fault.description for fault in document.faults] == ["<Refer> needs exactly one <SipUri>."]
