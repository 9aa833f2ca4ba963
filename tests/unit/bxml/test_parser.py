"""Documents: what is accepted, what is refused and what the refusal says."""

from __future__ import annotations

from pathlib import Path

import pytest
from bandwidth.models import bxml as vendor
from hypothesis import given
from hypothesis import strategies as st

from callflow.bxml import BxmlError, Webhook, parse_document
from callflow.bxml.limits import MAX_DEPTH, MAX_DOCUMENT_BYTES, MAX_ELEMENTS, MAX_GATHER_HINT_LENGTH, MAX_GATHER_HINTS, MAX_GATHER_VERBS
from callflow.bxml.registry import VERBS
from callflow.bxml.verbs.gather import Gather
from callflow.bxml.verbs.hangup import Hangup
from callflow.bxml.verbs.pause import Pause
from callflow.bxml.verbs.play_audio import PlayAudio
from callflow.bxml.verbs.record import RecordVerb
from callflow.bxml.verbs.redirect import Redirect
from callflow.bxml.verbs.speak_sentence import SpeakSentence
from callflow.bxml.voices import Voice

DATA = Path(__file__).parents[2] / "data" / "bxml"


def read(name: str) -> bytes:
    return (DATA / f"{name}.bxml").read_bytes()


def refusal(document: bytes) -> str:
    with pytest.raises(BxmlError) as caught:
        parse_document(document)
    return str(caught.value)


def response(inner: str) -> bytes:
    return f"<Response>{inner}</Response>".encode()


def test_a_menu_keeps_order_and_values() -> None:
    speak, gather, pause, redirect = parse_document(read("menu")).verbs
    assert isinstance(speak, SpeakSentence)
    assert speak.text == "Welcome to the night desk & more."
    assert speak.markup == 'Welcome to the <emphasis level="strong">night</emphasis> desk &amp; more.'
    assert speak.voice == Voice("en_US", "female")
    assert isinstance(gather, Gather)
    assert gather.webhook == Webhook("menu/choice")
    assert (gather.max_digits, gather.first_digit_timeout, gather.inter_digit_timeout) == (1, 3.5, 5.0)
    assert (gather.repeat_count, gather.tag, gather.terminating_digits) == (2, "front", "")
    first, second = gather.prompts
    assert isinstance(first, SpeakSentence)
    assert first.voice == Voice("en_UK", "female")
    assert isinstance(second, PlayAudio)
    assert second.url == "/sounds/beep.wav"
    assert pause == Pause(0.5, 9)
    assert isinstance(redirect, Redirect)
    assert redirect.webhook.url == "https://app.example.com/again"


def test_words_and_what_they_may_be() -> None:
    default, plain = parse_document(
        response("<Gather/><Gather input='speech' hints=' yes ,no way,,yes' language='en-GB' speechTimeout='2'/>")
    ).verbs
    assert isinstance(default, Gather)
    assert isinstance(plain, Gather)
    assert (default.wants_words, default.phrases, default.language, default.speech_timeout) == (False, (), "en-US", 5.0)
    assert (plain.wants_words, plain.phrases, plain.language, plain.speech_timeout) == (True, ("yes", "no way"), "en-GB", 2.0)


def test_a_voicemail_under_the_other_root() -> None:
    record, hangup = parse_document(read("voicemail")).verbs
    assert isinstance(record, RecordVerb)
    assert record.complete == Webhook("https://app.example.com/done", username="me", password="secret")
    assert record.form.available == Webhook("https://app.example.com/available", username="me", password="secret")
    assert (record.max_duration, record.silence_timeout, record.terminating_digits) == (20.0, 2.5, "#")
    assert isinstance(hangup, Hangup)


def test_speech_keeps_markup_and_escapes_text() -> None:
    (speak,) = parse_document(read("speech")).verbs
    assert isinstance(speak, SpeakSentence)
    assert speak.markup == ('Es ist <say-as interpret-as="time">12:30</say-as><break time="500ms"></break> &lt;jetzt&gt;.')
    assert speak.text == "Es ist 12:30 <jetzt>."
    assert speak.voice == Voice("de", "male")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("menu_broken", "Line 5: <Gather> attribute 'maxDigits' must be a whole number from 1 to 50, not '51'."),
        ("voicemail_broken", "Line 3: <Record> attribute 'fileFormat' must be one of wav, mp3, not 'ogg'."),
        ("speech_broken", "Line 2: <break> attribute 'time' must be a time such as 500ms or 2s, at most 10s, not '11s'."),
        ("laughs", "Line 1: A document type (<!DOCTYPE>) is not allowed."),
        ("outsider", "Line 1: A document type (<!DOCTYPE>) is not allowed."),
    ],
)
def test_broken_twins(name: str, sentence: str) -> None:
    assert refusal(read(name)) == sentence


@pytest.mark.parametrize(
    ("inner", "sentence"),
    [
        ("<Pause duration='0'/>", "<Pause> attribute 'duration' must be a number from 0.1 to 86400, not '0'."),
        ("<Pause duration='nan'/>", "<Pause> attribute 'duration' must be a number from 0.1 to 86400, not 'nan'."),
        ("<Pause length='1'/>", "<Pause> has no attribute 'length'."),
        ("<Pause>x</Pause>", "<Pause> cannot hold text."),
        ("<Pause><Pause/></Pause>", "<Pause> cannot hold <Pause>."),
        ("hello", "<Response> cannot hold text."),
        ("<Hangup reason='x'/>", "<Hangup> has no attribute 'reason'."),
        ("<SpeakSentence> </SpeakSentence>", "<SpeakSentence> needs a text to say."),
        ("<SpeakSentence>a<audio src='/etc/x'/></SpeakSentence>", "<SpeakSentence> cannot hold <audio>; the SSML tags are"),
        ("<SpeakSentence>a<p class='x'>b</p></SpeakSentence>", "<p> has no attribute 'class'."),
        ("<SpeakSentence gender='x'>a</SpeakSentence>", "<SpeakSentence> attribute 'gender' must be one of female, male"),
        (f"<SpeakSentence voice='{'v' * 65}'>a</SpeakSentence>", "<SpeakSentence> attribute 'voice' is longer than 64 characters."),
        ("<PlayAudio/>", "<PlayAudio> needs the URL of a sound file as its text."),
        ("<PlayAudio>file:///etc/x.wav</PlayAudio>", "<PlayAudio> text must be an http or https URL, not 'file'."),
        ("<PlayAudio>http:///x.wav</PlayAudio>", "<PlayAudio> text names no host"),
        ("<PlayAudio>http://[::1/x</PlayAudio>", "<PlayAudio> text is not a URL"),
        ("<PlayAudio>http://h:99999/x</PlayAudio>", "<PlayAudio> text is not a URL"),
        ("<PlayAudio>/a b.wav</PlayAudio>", "<PlayAudio> text is not a URL: it holds a space"),
        ("<Redirect/>", "<Redirect> needs the attribute 'redirectUrl'."),
        ("<Redirect redirectUrl='/x' redirectMethod='PUT'/>", "attribute 'redirectMethod' must be one of GET, POST"),
        (f"<Redirect redirectUrl='/{'x' * 2048}'/>", "attribute 'redirectUrl' is longer than 2048 characters."),
        (f"<Redirect redirectUrl='/x' tag='{'t' * 257}'/>", "attribute 'tag' is longer than 256 characters."),
        (f"<Redirect redirectUrl='/x' password='{'t' * 1025}'/>", "attribute 'password' is longer than 1024 characters."),
        ("<Redirect redirectUrl='http://u@h/' username='v'/>", "attribute 'username' gives credentials that the URL carries too: give"),
        ("<Gather gatherUrl='http://u:p@h/' password='p'/>", "attribute 'password' gives credentials that the URL carries too: give"),
        ("<Redirect redirectUrl='//u:p@h/' username='u'/>", "attribute 'username' gives credentials that the URL carries too: give"),
        ("<Record recordingAvailableUrl='http://u@h/' username='v'/>", "<Record> attribute 'username' gives credentials that the URL"),
        ("<Redirect redirectUrl='/' redirectFallbackUrl='http://u@h/' fallbackUsername='v'/>", "attribute 'fallbackUsername' gives"),
        ("<PlayAudio username='v'>http://u@h/a.wav</PlayAudio>", "<PlayAudio> attribute 'username' gives credentials that the URL"),
        ("<Gather terminatingDigits='x'/>", "attribute 'terminatingDigits' may hold only 0-9, A-D, * and #"),
        ("<Gather><Pause/></Gather>", "<Gather> can hold only <SpeakSentence> and <PlayAudio>, not <Pause>."),
        ("<Gather repeatCount='21'/>", "attribute 'repeatCount' must be a whole number from 1 to 20, not '21'."),
        ("<Gather maxDigits='1.5'/>", "attribute 'maxDigits' must be a whole number"),
        ("<Gather input='voice'/>", "<Gather> attribute 'input' must be one of dtmf, speech, dtmf_speech, not 'voice'."),
        ("<Gather speechTimeout='0.5'/>", "<Gather> attribute 'speechTimeout' must be a number from 1 to 60, not '0.5'."),
        (f"<Gather hints='{','.join(map(str, range(MAX_GATHER_HINTS + 1)))}'/>", "attribute 'hints' holds more than 100 phrases."),
        (f"<Gather hints='yes,{'x' * (MAX_GATHER_HINT_LENGTH + 1)}'/>", "attribute 'hints' holds a phrase of more than 100 characters."),
        (f"<Gather language='{'x' * 36}'/>", "attribute 'language' is longer than 35 characters."),
        ("<Record maxDuration='10801'/>", "attribute 'maxDuration' must be a number from 1 to 10800"),
        ("<Conference>x</Conference>", f"<Conference> is not a verb of this system; it knows {', '.join(VERBS)}."),
        ("<Blink/>", "<Blink> is not a verb of this system"),
        ("<Pause>", "Not well-formed XML: Opening and ending tag mismatch"),
        ("&undefined;", "Not well-formed XML: Entity 'undefined' not defined."),
    ],
)
def test_refusals_name_element_attribute_and_rule(inner: str, sentence: str) -> None:
    message = refusal(response(inner))
    assert message.startswith("Line 1: ")
    assert sentence in message


def test_line_numbers_point_at_the_verb() -> None:
    assert refusal(b"<Response>\n<Pause/>\n\n<Blink/></Response>").startswith("Line 4: ")


def test_only_two_roots() -> None:
    assert "<Pause> cannot be the root" in refusal(b"<Pause/>")
    assert "cannot be the root" in refusal(b'<Response xmlns="urn:x"/>')
    assert "<Response> has no attribute 'a'" in refusal(b'<Response a="1"/>')


def test_an_empty_root_is_a_document_and_an_empty_body_is_not() -> None:
    assert parse_document(b"<Response/>").verbs == ()
    assert refusal(b" \n") == "The document is empty; a document that only hangs up is <Response/>."


def test_size_is_checked_before_parsing() -> None:
    full = response("").ljust(MAX_DOCUMENT_BYTES)
    assert parse_document(full).verbs == ()
    assert refusal(full + b" ") == "The document is 65537 bytes long; at most 65536 are allowed."


def test_depth_is_bounded() -> None:
    def nested(depth: int) -> bytes:
        return response(f"<SpeakSentence>{'<p>' * depth}x{'</p>' * depth}</SpeakSentence>")

    assert parse_document(nested(MAX_DEPTH - 2)).verbs
    assert f"more than {MAX_DEPTH} deep" in refusal(nested(MAX_DEPTH - 1))
    assert "Excessive depth" in refusal(nested(300))


def test_the_number_of_elements_is_bounded() -> None:
    """The root is one, and so is each element of another, whatever it is: what is too much is refused before a verb is read."""
    pauses = "<Pause/>" * (MAX_ELEMENTS - 3)
    assert len(parse_document(response(f"{pauses}<SpeakSentence><p>a</p></SpeakSentence>")).verbs) == MAX_ELEMENTS - 2
    rule = f"The document has more than {MAX_ELEMENTS} elements."
    assert refusal(response(f"<Unknown/>{pauses}\n<SpeakSentence>\n<p>a</p></SpeakSentence>")) == f"Line 3: {rule}"
    assert rule in refusal(response("<Gather/>" * 7_200))


def test_gather_bounds_its_prompts() -> None:
    prompt = "<SpeakSentence>a</SpeakSentence>"
    assert parse_document(response(f"<Gather>{prompt * MAX_GATHER_VERBS}</Gather>")).verbs
    assert "at most 20 verbs" in refusal(response(f"<Gather>{prompt * (MAX_GATHER_VERBS + 1)}</Gather>"))
    assert "times the 3 nested verbs" in refusal(response(f"<Gather repeatCount='7'>{prompt * 3}</Gather>"))


@pytest.mark.parametrize(
    "inner",
    [
        "<Redirect redirectUrl='http://u:p@h/'/>",
        "<Redirect redirectUrl='/@' username='v' password='p'/>",
        "<Redirect redirectUrl='http://h/' username='v' redirectFallbackUrl='http://u:p@g/'/>",
        "<PlayAudio username='v'>http://h/a@b.wav</PlayAudio>",
    ],
)
def test_each_request_has_credentials_of_its_own(inner: str) -> None:
    assert parse_document(response(inner)).verbs


def test_a_tag_can_be_cleared() -> None:
    absent, cleared = parse_document(response("<Gather/><Gather tag=''/>")).verbs
    assert isinstance(absent, Gather)
    assert absent.tag is None
    assert isinstance(cleared, Gather)
    assert cleared.tag == ""


def test_fallbacks_have_their_own_method_and_credentials() -> None:
    (verb,) = parse_document(
        response(
            "<Redirect redirectUrl='/a' redirectMethod='GET' username='u' password='p' redirectFallbackUrl='/b' "
            "redirectFallbackMethod='POST' fallbackUsername='fu' fallbackPassword='fp'/>"
        )
    ).verbs
    assert isinstance(verb, Redirect)
    assert verb.webhook == Webhook("/a", "GET", "u", "p", Webhook("/b", "POST", "fu", "fp"))


VENDOR_GATHER = vendor.Gather(
    [vendor.SpeakSentence("Press <emphasis>one</emphasis>.")],
    gather_url="/g",
    gather_method="POST",
    gather_fallback_url="/f",
    gather_fallback_method="GET",
    username="u",
    password="p",
    fallback_username="fu",
    fallback_password="fp",
    tag="t",
    terminating_digits="#",
    max_digits=4,
    inter_digit_timeout=3,
    first_digit_timeout=0,
    repeat_count=2,
    input="dtmf",
    hints="a",
    language="en-US",
    partial_result_callback="/p",
    partial_result_callback_method="GET",
    profanity_filter=True,
    speech_model="phone",
    speech_timeout=5,
)
VENDOR_RECORD = vendor.Record(
    record_complete_url="/c",
    record_complete_method="POST",
    record_complete_fallback_url="/cf",
    record_complete_fallback_method="POST",
    recording_available_url="/a",
    recording_available_method="POST",
    transcribe=False,
    detect_language=False,
    transcription_available_url="/t",
    transcription_available_method="GET",
    username="u",
    password="p",
    terminating_digits="#",
    max_duration=10,
    silence_timeout=2,
    file_format="wav",
    tag="t",
)


def test_documents_of_the_vendors_sdk() -> None:
    document = vendor.Response(
        [
            vendor.SpeakSentence("Hello <break time='1s'/> there", voice="julie"),
            vendor.PlayAudio("https://app.example.com/a.wav", username="u", password="p"),
            vendor.Pause(duration=2),
            VENDOR_GATHER,
            VENDOR_RECORD,
            vendor.Redirect(redirect_url="/r", redirect_method="GET", tag="x"),
            vendor.Hangup(),
        ]
    )
    verbs = parse_document(document.to_bxml().encode()).verbs
    names = ("SpeakSentence", "PlayAudio", "Pause", "Gather", "Record", "Redirect", "Hangup")
    assert [type(verb) for verb in verbs] == [VERBS[name] for name in names]
    speak = verbs[0]
    assert isinstance(speak, SpeakSentence)
    assert speak.markup == 'Hello <break time="1s"></break> there'
    assert parse_document(vendor.Bxml([vendor.Hangup()]).to_bxml().encode()).verbs


@given(st.binary(max_size=300))
def test_any_bytes_parse_or_raise_bxml_error(data: bytes) -> None:
    try:
        parse_document(data)
    except BxmlError as error:
        assert error.message.endswith(".")


@given(st.text(max_size=80), st.sampled_from([name.stem for name in DATA.glob("*.bxml")]), st.integers(0, 2000))
def test_mutated_documents_parse_or_raise_bxml_error(text: str, name: str, position: int) -> None:
    data = read(name)
    cut = position % (len(data) + 1)
    try:
        parse_document(data[:cut] + text.encode(errors="replace") + data[cut + len(text) :])
    except BxmlError as error:
        assert error.message


def test_what_the_vendors_older_sdk_writes_is_read() -> None:
    (record,) = parse_document(
        b"<Bxml><Record recordCompleteUrl='/a' recordCompleteFallback_url='/b' recordCompleteFallback_method='GET'"
        b" fallbackUsername='u' fallbackPassword='p' transcribe='False' maxDuration='60'/></Bxml>"
    ).verbs
    assert isinstance(record, RecordVerb)
    assert record.complete == Webhook("/a", fallback=Webhook("/b", "GET", "u", "p"))


@pytest.mark.parametrize("value", ["yes", "1", ""])
def test_a_flag_that_is_none_is_refused_by_name(value: str) -> None:
    with pytest.raises(BxmlError, match="'transcribe'"):
        parse_document(f"<Response><Record transcribe='{value}'/></Response>".encode())
