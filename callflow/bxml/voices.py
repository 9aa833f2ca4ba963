"""The voices that documents may name, with the locale and gender of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Gender = Literal["female", "male"]


@dataclass(frozen=True, slots=True)
class Voice:
    """How a sentence is to sound; a speech engine picks its nearest voice."""

    locale: str
    gender: Gender


_FEMALE = {
    "en_US": "julie kate susan ruth",
    "en_UK": "bridget",
    "de": "katrin",
    "es": "esperanza violeta",
    "es_MX": "rosa",
    "es_US": "lupe",
    "fr": "jolie",
    "fr_CA": "gabrielle",
    "it": "paola",
    "ja": "masako",
    "ru": "nadiya",
    "arb": "zeina",
    "cmn_CN": "zhiyu",
}
_MALE = {
    "en_US": "dave paul stephen",
    "en_UK": "simon",
    "de": "stefan",
    "es": "jorge",
    "es_US": "pedro",
    "fr": "bernard",
    "fr_CA": "liam",
    "it": "luca",
    "ja": "kenji",
    "ru": "anatoli",
}

VOICES = {
    **{name: Voice(locale, "female") for locale, names in _FEMALE.items() for name in names.split()},
    **{name: Voice(locale, "male") for locale, names in _MALE.items() for name in names.split()},
}
LOCALES = tuple(_FEMALE)
_LOCALES = {locale.lower(): locale for locale in LOCALES}


DEFAULT_LOCALE = "en_US"


@dataclass(frozen=True, slots=True)
class Choice:
    """Who speaks, and one sentence if it is not who was asked for."""

    voice: Voice
    note: str = ""


def choose_voice(name: str, locale: str, gender: Gender) -> Choice:
    """Return the voice of a name or else of a locale and a gender; what is not in the table falls back by language, then to the default.

    Upper and lower case are one, as the vendor's tools write "Susan", and so are `en-us` and `en_US`.
    """
    known = VOICES.get(name.lower())
    if known is not None:
        return Choice(known)
    nearest = _nearest(locale)
    voice = Voice(nearest or DEFAULT_LOCALE, gender)
    if name:
        return Choice(voice, f"There is no voice {name!r}: a {gender} voice of {voice.locale} speaks instead.")
    if _LOCALES.get(_plain(locale)) is None:
        return Choice(voice, f"There is no locale {locale!r}: a {gender} voice of {voice.locale} speaks instead.")
    return Choice(voice)


def _nearest(locale: str) -> str | None:
    """Return the locale as the table spells it, or the first one of its language."""
    wanted = _plain(locale)
    language = wanted.partition("_")[0]
    return _LOCALES.get(wanted) or next((known for known in LOCALES if known.partition("_")[0].lower() == language), None)


def _plain(locale: str) -> str:
    return locale.replace("-", "_").lower()
