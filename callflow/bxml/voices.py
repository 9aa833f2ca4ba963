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


def find_voice(name: str) -> Voice | None:
    """Return the voice of a name, or None; upper and lower case are one, as the vendor's tools write "Susan"."""
    return VOICES.get(name.lower())


def find_locale(name: str) -> str | None:
    """Return a locale as the table spells it, or None; `en-us` and `en_US` are the same."""
    return _LOCALES.get(name.replace("-", "_").lower())
