"""Mask the secrets in URLs and in documents, wherever they are stored, logged or shown.

The name of a query parameter does not say whether its value is a secret (`sig`, `code`, `X-Amz-Signature`, `k`), so every value is
masked and the names stay. A masked text masks to itself. Texts come from strangers: no expression here looks at a character twice,
and of a text with more than `MAX_MARKS` places where a URL, a query or a reference may begin, the beginning is kept.

XML may write any character as a reference (`&#64;`, `&#x40;`). A text keeps its references, unless they hide a secret: then it is masked
and shown as it reads.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from html.entities import html5
from itertools import islice

MASK = "***"
MAX_MARKS = 500
"""Places of one text where something to mask may begin: a millisecond or two of a daemon's time, and more than a document has."""

_MARK = re.compile(r"[&?/u](?:(?<=[&?])|(?<=/)\\?/|(?<=\\u)0026)")
# What no URL holds, and no reference stands for.
_BREAKS = ' \t\r\n"<>'

# A search for a few letters is faster than one for words; ſ is an s of another case.
_NAME = r"[UuPpSs\u017f](?i:(?<=u)ser_?(?:name|id)|(?<=p)ass(?:_?word|wd)|(?<=s)ecret)[\"']?"
_CREDENTIAL = re.compile(rf"{_NAME}$")
# JSON writes a quote in a value as `\"`; in XML a backslash is a character like any other. Forms and numbers have no quotes.
_GIVEN = re.compile(
    rf"({_NAME}\s*)(?:(:\s*)(\"(?:[^\"\\]|\\.)*\"?|'(?:[^'\\]|\\.)*'?|[0-9]+)|(=\s*)(\"[^\"]*\"?|'[^']*'?|[^\s\"'<>&;,]+))",
    re.DOTALL,
)
# JSON may write a slash as `\/` and an ampersand as `\u0026`; XML writes `&amp;`. What may follow an apostrophe here does not follow one
# that ends an attribute.
_CHARACTERS = r"(?:[^\s\"'<>\\]++|\\(?![\"'])|'(?=[\w%@~$*+!&:=-]))*"
_AMPERSAND = re.compile(r"(&amp;|&|\\u0026)")
_QUERY = re.compile(rf"\?{_CHARACTERS}")
# A document's URL may leave its scheme out. A search for slashes is faster than one for schemes.
_BEFORE = "|".join(rf"(?<={scheme}:[/\\])" for scheme in ("http", "https", "ws", "wss"))
_URL = re.compile(rf"[/\\](?i:{_BEFORE}|(?<![^\s\"'>\[(][/\\]))(?:(?<=/)|/)\\?/{_CHARACTERS}")
_PLACE = r"^((?:(?:https?|wss?):)?(?:\\?/){2})"
_USERINFO = re.compile(rf"{_PLACE}(?:[^/?#\\]|\\(?!/))*@", re.IGNORECASE)
# A password with a slash, a question mark or a hash: no server gets such a URL, and the sentence that says so is shown.
_REFERENCE = re.compile(r"&(?:#[xX]([0-9a-fA-F]{1,6})|#([0-9]{1,7})|([A-Za-z][A-Za-z0-9]{0,30}))\Z")
_LONGEST_REFERENCE = 32
# What stands for these must not become markup, or a character of another kind, by being written out.
_MARKUP = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;"}
_BROKEN_USERINFO = re.compile(rf"{_PLACE}[^/?#@\[\]:]*:(?![0-9]*(?:\\?[/?#]|$))[^@]*@", re.IGNORECASE)


def masked_url(url: str) -> str:
    """Return an absolute or relative URL without user name, password, query values and fragment."""
    if "@" in url:
        url = _BROKEN_USERINFO.sub(rf"\g<1>{MASK}@", url)
    path, mark, query = _USERINFO.sub(rf"\g<1>{MASK}@", url.partition("#")[0]).partition("?")
    return path + mark + "".join(_masked_part(part, lone=True) for part in _AMPERSAND.split(query))


def masked_text(text: str) -> str:
    """Return a document, a body or a sentence with the URLs and the credentials in it masked."""
    text, end = _bounded(text)
    masked = _masked(text)
    written_out = _without_references(text)
    if written_out == text:
        return masked + end
    plain = _masked(written_out)
    return (masked if _without_references(masked) == plain else plain) + end


def _bounded(text: str) -> tuple[str, str]:
    """Return what is kept of a text, and what is shown in place of the rest."""
    beyond = next(islice(_MARK.finditer(text), MAX_MARKS, None), None)
    if beyond is None:
        return text, ""
    # Half a URL could hide which part of it is the password.
    kept = max(0, *(text.rfind(character, 0, beyond.start()) for character in _BREAKS))
    return text[:kept], f" {MASK}"


def _masked(text: str) -> str:
    # URLs first: one that loses its fragment may leave a name beside a value.
    text = _URL.sub(lambda found: masked_url(found[0]), text)
    text = _GIVEN.sub(_masked_value, text)
    return _QUERY.sub(lambda found: "".join(_masked_part(part, lone=False) for part in _AMPERSAND.split(found[0])), text)


def masked_attributes(attributes: Mapping[str, str]) -> dict[str, str]:
    """Return an element's attributes with the secrets in their values masked."""
    return {name: MASK if _CREDENTIAL.search(name) else masked_text(value) for name, value in attributes.items()}


def _without_references(text: str) -> str:
    """Return a text with the characters that references stand for; where one makes another, as in `&#3&#53;;`, that one is read, too."""
    found: list[str] = []
    end, at = "", 0
    while (stop := text.find(";", at)) >= 0:
        if "&" not in end:
            # Nothing is to be read before the next reference.
            start = text.find("&", at)
            if start < 0:
                break
            found += (end, text[at:start])
            end, at, stop = "", start, text.find(";", start)
            if stop < 0:
                break
        end, at = end + text[at:stop], stop + 1
        while (reference := _REFERENCE.search(end, max(len(end) - _LONGEST_REFERENCE, 0))) and (character := _character(reference)):
            end = end[: reference.start()] + character
            if character != ";":
                break
            end = end[:-1]
        else:
            end += ";"
        # What is far from the end is no part of a reference.
        found.append(end[:-_LONGEST_REFERENCE])
        end = end[-_LONGEST_REFERENCE:]
    return "".join((*found, end, text[at:]))


def _character(reference: re.Match[str]) -> str:
    """Return what a reference stands for, "" where it is to stay."""
    hexadecimal, decimal, name = reference.groups()
    number = int(hexadecimal, 16) if hexadecimal else int(decimal or 0)
    character = html5.get(f"{name};", "") if name else chr(number) if number <= sys.maxunicode else ""
    if character in _MARKUP:
        return "" if name else _MARKUP[character]
    return character if len(character) == 1 and character.isprintable() and character != " " else ""


def _masked_value(found: re.Match[str]) -> str:
    """Return a credential with its value masked, in the quotes that it has."""
    name, colon, json_value, equals, value = found.groups()
    given = json_value or value
    quote = given[0] if given[0] in "\"'" else ""
    return f"{name}{colon or equals}{quote}{MASK}{quote}"


def _masked_part(part: str, *, lone: bool) -> str:
    """Return one parameter with its value masked; a lone word is one too where the text is surely a URL."""
    name, equals, value = part.partition("=")
    if equals:
        return f"{name}={MASK}" if value else part
    return MASK if lone and part and not _AMPERSAND.fullmatch(part) else part
