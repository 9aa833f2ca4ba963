from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceapps.rules.masking import MASK, MAX_MARKS, masked_attributes, masked_text, masked_url


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("http://user:secret@h:81/down", "http://***@h:81/down"),
        ("HTTPS://secret@h", "HTTPS://***@h"),
        ("http://user:se@cret@h/a@b", "http://***@h/a@b"),
        ("https://h/x?Signature=secret&X-Amz-Credential=sec%2Fret&empty=&a", "https://h/x?Signature=***&X-Amz-Credential=***&empty=&***"),
        ("/next?token=secret=&code=secret", "/next?token=***&code=***"),
        ("next?secret", "next?***"),
        ("http://h/a?#secret", "http://h/a?"),
        ("http://h/a/b", "http://h/a/b"),
        ("//u:secret@h/a", "//***@h/a"),
        ("http://u:se\\cret@h/a", "http://***@h/a"),
        ("http://u:se/cret@h/a", "http://***@h/a"),
        ("http://u:se?c#ret@h/a?b=secret", "http://***@h/a?b=***"),
        ("http://h:80/a:b@c", "http://h:80/a:b@c"),
        ("http://h/a:b@c", "http://h/a:b@c"),
        ("http://[::1]/a@b", "http://[::1]/a@b"),
        ("/a//b:c@d", "/a//b:c@d"),
    ],
)
def test_a_url_keeps_its_place_and_the_names_of_its_parameters(url: str, masked: str) -> None:
    assert masked_url(url) == masked
    assert masked_url(masked) == masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("<Gather username='secret' password='secret'/>", "<Gather username='***' password='***'/>"),
        ('<X fallbackPassword = "a&quot;secret" fallbackUsername="secret">', '<X fallbackPassword = "***" fallbackUsername="***">'),
        ("<Gather gatherUrl='/n?t=secret&amp;s=secret'/>", "<Gather gatherUrl='/n?t=***&amp;s=***'/>"),
        ("<PlayAudio>http://u:secret@h/p.wav?secret</PlayAudio>", "<PlayAudio>http://***@h/p.wav?***</PlayAudio>"),
        ("<PlayAudio>p.wav?Signature=secret</PlayAudio>", "<PlayAudio>p.wav?Signature=***</PlayAudio>"),
        ('{"password":"a\\"secret", "n": 1}', '{"password":"***", "n": 1}'),
        ('{"url": "https:\\/\\/u:secret@h\\/x?a=secret\\u0026b=secret"}', '{"url": "https:\\/\\/***@h\\/x?a=***\\u0026b=***"}'),
        ("<Gather password='secret", "<Gather password='***'"),
        ("http://h/x?s=secret and http://h/x?s=secret", "http://h/x?s=*** and http://h/x?s=***"),
        ("<PlayAudio>//u:secret@h/p.wav</PlayAudio>", "<PlayAudio>//***@h/p.wav</PlayAudio>"),
        ("<Redirect redirectUrl='//u:secret@h/'/>", "<Redirect redirectUrl='//***@h/'/>"),
        ("<PlayAudio>http://u:se'cret@h/p?a=b'secret</PlayAudio>", "<PlayAudio>http://***@h/p?a=***</PlayAudio>"),
        ("<Redirect redirectUrl='http://u:secret@h/'/><Hangup/>", "<Redirect redirectUrl='http://***@h/'/><Hangup/>"),
        ("<PlayAudio>http://u:se\\cret@h/p</PlayAudio>", "<PlayAudio>http://***@h/p</PlayAudio>"),
        ('{"url": \\"http://u:secret@h/?a=secret\\", n: 1}', '{"url": \\"http://***@h/?a=***\\", n: 1}'),
        ('<Gather username="DOMAIN\\" password="secret"/>', '<Gather username="***" password="***"/>'),
        ("{'password': 1234, 'n': 1}", "{'password': ***, 'n': 1}"),
        ("grant_type=x&client_secret=secret&n=1", "grant_type=x&client_secret=***&n=1"),
        ("https://h/a//b:c@d", "https://h/a//b:c@d"),
        ("Say your password: after the tone.", "Say your password: after the tone."),
        ("Really? Press 1 for a=b.", "Really? Press 1 for a=b."),
        ("<Pause duration='1'/>", "<Pause duration='1'/>"),
        ("http://password# =http://", "http://password =***"),
        ("<PlayAudio>https://user:secret&#64;h/p.wav</PlayAudio>", "<PlayAudio>https://***@h/p.wav</PlayAudio>"),
        ("<Redirect redirectUrl='https://user&#58;sec&amp;ret&#x40;h/'/>", "<Redirect redirectUrl='https://***@h/'/>"),
        ('<Redirect redirectUrl="https&#58;&#x2F;&#X2f;u:secret@h/"/>', '<Redirect redirectUrl="https://***@h/"/>'),
        ("<PlayAudio>&#104;ttp://u:sec&#0;&#10;&#34;&#39;&#60;&#233;ret@h</PlayAudio>", "<PlayAudio>http://***@h</PlayAudio>"),
        ("<PlayAudio>http&colon;&sol;&sol;u&colon;secret&commat;h/</PlayAudio>", "<PlayAudio>http://***@h/</PlayAudio>"),
        ("<Gather gatherUrl='/n?t=sec&#114;et&#38;s=secret'/>", "<Gather gatherUrl='/n?t=***&amp;s=***'/>"),
        ("<Gather password='sec&#114;et' tag='caf&#233;'/>", "<Gather password='***' tag='caf&#233;'/>"),
        (
            "<Say>R&#38;D, caf&#233;, a &lt; b, &#99999999; &nothing; &#55296;</Say>",
            "<Say>R&#38;D, caf&#233;, a &lt; b, &#99999999; &nothing; &#55296;</Say>",
        ),
        ("http://u:secret&#3&#54;&#59;&#38;&#&#54;4;h/", "http://***@h/"),
        ("http://u:secret&&#35;64;h/", "http://***@h/"),
        ("http://h/&#38;#64;a", "http://h/&amp;"),
    ],
)
def test_a_text_keeps_everything_but_its_secrets(text: str, masked: str) -> None:
    assert masked_text(text) == masked
    assert masked_text(masked) == masked


PIECES = st.sampled_from(
    [
        *("http://", "//", ":", "u:p@", "1", "?", "=", "&", "&amp;", "\\u0026", "\\/", "\\", '"', "'", "password", "<", ">", " ", "#"),
        *("&#58;", "&#64;", "&#47;", "&#38;", "&#35;", "&#59;", "&#5", "8", ";", "&commat;"),
    ]
)


@pytest.mark.parametrize("mark", ["&a;", "http://", "http:\\/\\/", "//", "?", "&", "\\u0026", "&#64;"])
def test_of_a_text_with_too_much_to_mask_the_beginning_is_kept(mark: str) -> None:
    """One that is masked whole takes a daemon's time from its calls."""
    kept = f"{mark} " * MAX_MARKS
    assert masked_text(kept + "word") == f"{masked_text(kept)}word"
    assert masked_text(f"{kept}word {mark} rest") == f"{masked_text(kept)}word {MASK}"


@pytest.mark.parametrize("url", ["http://u:se?cret@h/", "http://u:se//cret@h/", "http://u:se'c?ret@h/", "http&#58;//u:secret@h/"])
def test_the_end_of_what_is_kept_is_not_half_a_url(url: str) -> None:
    for marks in range(MAX_MARKS - 4, MAX_MARKS + 1):
        for before in ' "<>\n':
            masked = masked_text("? " * marks + before + url)
            assert not any(part in masked for part in ("u:", "se?", "se/", "se'", "cret"))
            assert masked_text(masked) == masked


@given(st.lists(PIECES).map("".join))
def test_a_masked_text_masks_to_itself(text: str) -> None:
    masked = masked_text(text)
    assert masked_text(masked) == masked


@pytest.mark.parametrize(
    "piece", ["a.", "http://", "http://a?", "password ", "?a=b&", "password='", 'password="\\"', "@", "\\u0026?", "&#58;", "&#5&#56;"]
)
def test_a_long_text_is_read_once(piece: str) -> None:
    """Hang, rather than fail, where an expression takes quadratic time: at this length that is hours."""
    assert masked_text(f"http://{piece * 200_000}")


@pytest.mark.parametrize("piece", ["//", "'a", "\\", "password=", "http://u:", "password: ", ":a", "&", ";", "&#97;", "&#59;"])
def test_a_long_password_is_read_once(piece: str) -> None:
    assert masked_text(f"http://u:{piece * 200_000}@h/")


def test_attributes_are_masked_by_name_and_by_content() -> None:
    given = {"username": "secret", "gatherUrl": "/n?a=secret", "tag": "kept", "fallbackPassword": "secret"}
    assert masked_attributes(given) == {"username": "***", "gatherUrl": "/n?a=***", "tag": "kept", "fallbackPassword": "***"}
