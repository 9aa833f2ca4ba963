from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceapps.rules.http.target import Target, joined

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


@pytest.mark.parametrize("host", ["\u2100.example", "a\uff0fb", "a\uff20b", "h\uff1a81", "a%2fb", "x" * 80 + "\xe9", "a..b", "x" * 64])
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


@pytest.mark.parametrize(
    ("reference", "url"),
    [
        ("http://h/x?", "http://h/x?"),
        ("https://h/a/../b;?c=%2F", "https://h/a/../b;?c=%2F"),
        ("//h/b;", "http://h/b;"),
        ("/b;?", "http://u:p@h/b;?"),
        ("/b//c?d?e", "http://u:p@h/b//c?d?e"),
        ("", "http://u:p@h/a/b?x"),
        ("#f", "http://u:p@h/a/b?x#f"),
        ("?y", "http://u:p@h/a/b?y"),
        ("c", "http://u:p@h/a/c"),
        ("./c/.", "http://u:p@h/a/c/"),
        ("../../c/d/..", "http://u:p@h/c/"),
        ("..", "http://u:p@h/"),
        ("a@b:c", "http://u:p@h/a/a@b:c"),
        ("/a?http://x/../y", "http://u:p@h/a?http://x/../y"),
    ],
)
def test_a_reference_is_joined_and_stays_as_it_is(reference: str, url: str) -> None:
    assert joined("http://u:p@h/a/b?x", reference) == url


def test_a_reference_to_a_place_without_path() -> None:
    assert joined("http://h", "b") == "http://h/b"
    assert joined("http://h?x", "?y") == "http://h/?y"


@given(st.text(max_size=40))
def test_any_reference_is_joined(reference: str) -> None:
    assert joined("http://h/a", reference)


@pytest.mark.parametrize("location", ["http://u:secret@ex\u2100mple/", "//u:secret@[x/", "http://u:secret@[::1/", "http://u:secret@a..b/"])
def test_a_redirect_that_is_refused_is_not_repeated(location: str) -> None:
    with pytest.raises(ValueError, match=r"^The URL.*\.$") as refused:
        Target.parse("http://h/").redirected(location)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("location", ["ftp://h/", "http://@", "http://h:99999/", "javascript:x"])
def test_a_redirect_out_of_http_is_refused(location: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        Target.parse("http://h/").redirected(location)


def test_parameters_come_after_the_query_that_is_there() -> None:
    assert Target.parse("http://h/a?x=%2F").with_query({"y": "a b@c"}).path == "/a?x=%2F&y=a+b%40c"
    assert Target.parse("http://h/a").with_query({}).path == "/a"
