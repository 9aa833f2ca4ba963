"""What is searched for in an utterance: phrases, or all of English. Only the process of `worker.py` imports this.

Theory of operation. A grammar of phrases makes a phrase of everything, be it other words or a noise. So what was taken for a phrase is
heard once more as a mere row of sounds, which fits anything else much better. How much better, in the model's logarithms for each
10 ms, says how sure the phrase is. `EVEN` and `STEEP` were found by trying: 27 phrases and words in five voices of espeak-ng and piper,
as telephones send them, against grammars that hold some of them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Protocol

from pocketsphinx import Decoder

WIDE_RATE = 16_000
"""What the model was made for."""
WIDTH = 2
EVEN = -20.0
"""The difference at which a phrase is as likely as not; below it nothing is reported."""
STEEP = 5.0
"""How slowly certainty grows with the difference."""
_BASE = 1.0001
"""Of the model's logarithms."""
_LEAST = 1e-300
_ENDS = '.,;:!?"()'
_FILLERS = ("<", "[", "+", "(")
_NULL = "(NULL)"
_PHONES = "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH".split()
_PHRASES, _SOUNDS = "phrases", "sounds"
_WORD = re.compile(r"[a-z]+(?:['.-][a-z]+)*")


class Search(Protocol):
    """Hears one utterance after the other."""

    def begin(self) -> None:
        """Begin an utterance."""

    def hear(self, samples: bytes) -> None:
        """Take some of its audio: 16-bit samples at `WIDE_RATE`."""

    def end(self) -> tuple[str, float]:
        """Return what was said, nothing if it was no words, and how sure that is, from 0 to 1."""


def search_for(phrases: Sequence[str]) -> tuple[Search, list[str]]:
    """Return a search for phrases, or for all of English where none has a known word; and the words that are not known."""
    if not phrases:
        return EnglishSearch(), []
    # The confidence is our own, and needs the score of each sound; the library's needs a lattice, which takes minutes for a row of sounds.
    decoder = Decoder(lm=None, samprate=WIDE_RATE, loglevel="FATAL", bestpath=False, compallsen=True)
    known, lacking = _sorted_out(decoder, phrases)
    return (PhraseSearch(decoder, known) if known else EnglishSearch()), lacking


class EnglishSearch:
    """Understands whatever is said, roughly."""

    def __init__(self) -> None:
        self._decoder = Decoder(samprate=WIDE_RATE, loglevel="FATAL")

    def begin(self) -> None:
        """Begin an utterance."""
        self._decoder.start_utt()

    def hear(self, samples: bytes) -> None:
        """Take some of its audio."""
        self._decoder.process_raw(samples)

    def end(self) -> tuple[str, float]:
        """Return what was said, and the mean of the words' probabilities."""
        self._decoder.end_utt()
        hypothesis = self._decoder.hyp()
        if hypothesis is None or not hypothesis.hypstr:
            return "", 0.0
        words = [part.prob for part in self._decoder.seg() or () if not part.word.startswith(_FILLERS)]
        return hypothesis.hypstr, min(1.0, sum(words) / max(1, len(words)))


class PhraseSearch:
    """Understands phrases, of words that the decoder knows, and nothing else."""

    def __init__(self, decoder: Decoder, phrases: Sequence[str]) -> None:
        self._audio = bytearray()
        self._decoder = decoder
        self._mean = ""
        for phone in _PHONES:
            decoder.add_word(f"sound_{phone.lower()}", phone, phone == _PHONES[-1])
        sounds = " | ".join(f"sound_{phone.lower()}" for phone in _PHONES)
        decoder.add_jsgf_string(_SOUNDS, f"#JSGF V1.0;\ngrammar {_SOUNDS};\npublic <said> = ({sounds})+;\n")
        decoder.add_jsgf_string(_PHRASES, f"#JSGF V1.0;\ngrammar {_PHRASES};\npublic <said> = {' | '.join(phrases)};\n")
        decoder.activate_search(_PHRASES)

    def begin(self) -> None:
        """Begin an utterance."""
        self._audio.clear()
        self._mean = self._decoder.get_cmn(False)
        self._decoder.start_utt()

    def hear(self, samples: bytes) -> None:
        """Take some of its audio."""
        self._audio += samples
        self._decoder.process_raw(samples)

    def end(self) -> tuple[str, float]:
        """Return the phrase that was said, if it is more likely than not."""
        self._decoder.end_utt()
        hypothesis = self._decoder.hyp()
        if hypothesis is None or not hypothesis.hypstr:
            return "", 0.0
        difference = _fit(self._decoder) - self._fit_of_sounds()
        return (hypothesis.hypstr, 1 / (1 + math.exp((EVEN - difference) / STEEP))) if difference >= EVEN else ("", 0.0)

    def _fit_of_sounds(self) -> float:
        """Hear the utterance again, from the same mean of the channel on."""
        self._decoder.activate_search(_SOUNDS)
        self._decoder.set_cmn(self._mean)
        self._decoder.start_utt()
        self._decoder.process_raw(bytes(self._audio))
        self._decoder.end_utt()
        fit = _fit(self._decoder)
        self._decoder.activate_search(_PHRASES)
        return fit


def _fit(decoder: Decoder) -> float:
    """Return how well the last utterance fits what was searched for: the mean of its frames, 0 at best."""
    parts = [part for part in decoder.seg() or () if part.word != _NULL]
    frames: int = sum(part.end_frame - part.start_frame + 1 for part in parts)
    score = sum(math.log(max(part.ascore, _LEAST), _BASE) for part in parts)
    return score / max(1, frames)


def _sorted_out(decoder: Decoder, phrases: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the phrases without the words that the decoder does not know, and these words, each once."""
    known: dict[str, None] = {}
    lacking: dict[str, None] = {}
    for phrase in phrases:
        words = [word.strip(_ENDS) for word in phrase.lower().split()]
        unknown = [word for word in words if not _WORD.fullmatch(word) or decoder.lookup_word(word) is None]
        lacking.update(dict.fromkeys(word for word in unknown if word))
        known[" ".join(word for word in words if word not in unknown)] = None
    return [phrase for phrase in known if phrase], list(lacking)
