"""What of a sentence's markup is to be said, for speech engines that read no SSML: clauses of text, and silences between them.

Breaks, `say-as` and `sub` are carried out here; how something is stressed or pronounced is left to the engine. The first clause is short,
as the caller waits for it: it is heard while the others are still being made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lxml import etree

FIRST_CHARACTERS = 40
LEAST_CHARACTERS = 10
"""Of the first clause, if there is more to say: the next one has to be made while it is heard."""
PHRASE_CHARACTERS = 20
"""From here on a first clause without punctuation ends before a word that begins a phrase, where a speaker would breathe."""
MORE_CHARACTERS = 200
PARAGRAPH_SECONDS = 0.5
SENTENCE_SECONDS = 0.2
_STRENGTHS = {"none": 0.0, "x-weak": 0.1, "weak": 0.25, "medium": 0.5, "strong": 0.75, "x-strong": 1.0}
_SPELLED = frozenset({"characters", "spell-out", "digits", "telephone", "verbatim"})
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True)
_BOUNDARY = re.compile(r"(?<=[.!?;:,])\s+")
_AFTER_A_WORD = re.compile(r"(?<=\w\w[.!?;:,])\s+")
"""A boundary that is none between characters that are spelled."""
_ABBREVIATION = re.compile(r"\b(?:Dr|Mr|Mrs|Ms|Prof|St|No|Nos|Ave|Blvd|Rd|Jr|Sr|Inc|Ltd|Co|vs|etc|approx|ext|a\.m|p\.m)\.$", re.IGNORECASE)
"""Its point ends no clause."""
_PHRASE = re.compile(
    r"\s+(?=(?:and|or|but|if|when|while|because|until|that|which|who|with|from|for|to|in|on|at|by|as|of)\s)", re.IGNORECASE
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_SPEAKABLE = re.compile(r"\w")

Piece = str | float
"""A clause, or the seconds of a silence."""


def pieces(markup: str) -> list[Piece]:
    """Return what is said, in order; `markup` is that of `read_speech`."""
    root = etree.fromstring(f"<speak>{markup}</speak>".encode(), _PARSER)
    found: list[Piece] = []
    for part in _join(_read(root)):
        if isinstance(part, float):
            found.append(part)
        else:
            is_first = not any(isinstance(one, str) for one in found)
            found += _begin(part) if is_first else _spoken(_cut(part))
    return found


def _read(element: etree._Element) -> Iterator[Piece]:
    name = str(element.tag)
    match name:
        case "break":
            yield _seconds(element)
        case "sub":
            yield str(element.get("alias", ""))
        case "say-as" if element.get("interpret-as") in _SPELLED:
            yield ", ".join(re.sub(r"\s", "", "".join(map(str, element.itertext()))))
        case _:
            yield element.text or ""
            for child in element:
                yield from _read(child)
                yield child.tail or ""
    if name in ("p", "s"):
        yield PARAGRAPH_SECONDS if name == "p" else SENTENCE_SECONDS


def _seconds(element: etree._Element) -> float:
    time = element.get("time")
    if time is None:
        return _STRENGTHS.get(str(element.get("strength")), _STRENGTHS["medium"])
    text = str(time).lstrip("+")
    return float(text[:-2]) / 1000 if text.endswith("ms") else float(text[:-1])


def _join(parts: Iterator[Piece]) -> Iterator[Piece]:
    """Yield the texts between two silences as one, without those that nobody can say."""
    text = ""
    for part in (*parts, 0.0):
        if isinstance(part, str):
            text += part
            continue
        words = " ".join(text.split())
        text = ""
        if _SPEAKABLE.search(words):
            yield words
        if part:
            yield part


def _begin(text: str) -> list[str]:
    """Return a text in clauses, the first one as short as its own boundaries allow."""
    ends = (match.start() for match in _AFTER_A_WORD.finditer(text, LEAST_CHARACTERS, FIRST_CHARACTERS + 1))
    own = (end for end in ends if not _ABBREVIATION.search(text, 0, end) and _SPEAKABLE.search(text, end))
    end = next(own, len(text) if len(text) <= FIRST_CHARACTERS else _breath(text))
    return _spoken([text[:end].rstrip(), *_cut(text[end:].lstrip())])


def _breath(text: str) -> int:
    """Return where a long text without punctuation is cut first."""
    phrase = _PHRASE.search(text, PHRASE_CHARACTERS, FIRST_CHARACTERS + 1)
    return phrase.start() if phrase else _end(text, FIRST_CHARACTERS)


def _spoken(clauses: list[str]) -> list[str]:
    """Return clauses of which each holds a word: an engine may fail at one that has none."""
    joined: list[str] = []
    for clause in clauses:
        if joined and not (_SPEAKABLE.search(clause) and _SPEAKABLE.search(joined[-1])):
            joined[-1] = f"{joined[-1]} {clause}"
        else:
            joined.append(clause)
    return joined


def _cut(text: str) -> list[str]:
    """Return a text in clauses of at most `MORE_CHARACTERS`, if words are no longer than that."""
    clauses = []
    while len(text) > MORE_CHARACTERS:
        end = _end(text, MORE_CHARACTERS)
        clauses.append(text[:end].rstrip())
        text = text[end:].lstrip()
    return [*clauses, text] if text else clauses


def _end(text: str, most: int) -> int:
    """Return where to cut: behind the last sentence that fits, else the last clause, else the last word, else in the middle of it."""
    for boundary in (_SENTENCE, _BOUNDARY, re.compile(r"\s+")):
        ends = [match.start() for match in boundary.finditer(text, 0, most + 1)]
        if ends:
            return ends[-1]
    return most
