from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceapps.rules.target import Target

VISIBLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="#"), max_size=30)


@given(VISIBLE)
def test_everything_after_the_host_stays_as_it_is(path: str) -> None:
    assert str(Target.parse(f"https://host.example:8443/{path}#fragment")) == f"https://host.example:8443/{path}"


@given(st.text(max_size=60))
def test_any_text_is_a_target_or_one_sentence(text: str) -> None:
    for url in (text, f"http://{text}", f"http://h/{text}"):
        try:
            target = Target.parse(url)
        except ValueError as error:
            assert str(error).endswith(".")
        else:
            assert str(target).isascii()
            assert Target.parse(str(target)).path == target.path


def test_credentials_are_decoded_and_not_shown() -> None:
    target = Target.parse("HTTP://us%40er:p%3Aw@d@Host:80/x")
    assert (target.username, target.password, str(target)) == ("us@er", "p:w@d", "http://Host:80/x")
    assert "p:w@d" not in repr(target)


@pytest.mark.parametrize("host", ["\u2100.example", "a\uff0fb", "a\uff20b", "h\uff1a81", "a%2fb", "x" * 80 + "\xe9"])
def test_a_name_that_turns_into_something_else_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="The URL"):
        Target.parse(f"http://{host}/")


def test_a_name_outside_ascii_is_sent_in_its_idna_form() -> None:
    assert str(Target.parse("http://bücher.example:81/")) == "http://xn--bcher-kva.example:81/"


@pytest.mark.parametrize(
    ("location", "url", "username"),
    [
        ("/b", "http://h:80/b", "u"),
        ("b?c", "http://h:80/a/b?c", "u"),
        ("http://H/x", "http://H/x", "u"),
        ("//h/x", "http://h/x", "u"),
        ("https://h/x", "https://h/x", ""),
        ("http://h:81/x", "http://h:81/x", ""),
        ("http://evil@other/x", "http://other/x", "evil"),
        ("http://h.other/x", "http://h.other/x", ""),
    ],
)
def test_a_redirect_takes_credentials_along_within_one_origin(location: str, url: str, username: str) -> None:
    following = Target.parse("http://u:p@h:80/a/z").redirected(location)
    assert (str(following), following.username) == (url, username)


@pytest.mark.parametrize("location", ["ftp://h/", "http://@", "http://h:99999/", "javascript:x"])
def test_a_redirect_out_of_http_is_refused(location: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        Target.parse("http://h/").redirected(location)


def test_parameters_come_after_the_query_that_is_there() -> None:
    assert Target.parse("http://h/a?x=%2F").with_query({"y": "a b@c"}).path == "/a?x=%2F&y=a+b%40c"
    assert Target.parse("http://h/a").with_query({}).path == "/a"
