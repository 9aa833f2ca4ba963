"""What a call listens for: the words of its caller, as a recogniser outside understands them.

A listening belongs to the verb that began it, its *listener*. The recogniser says that somebody speaks before it can say whether these
are words. Until then the listener's timer waits, `MAX_SPEAKING_SECONDS` at most, and nothing else happens: noise cuts no prompt. What
comes of a listening that was stopped is dropped, as its number is no longer known.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

from callflow.engine.effects import Effect, Listen, StopListening
from callflow.engine.limits import MAX_SPEAKING_SECONDS, MAX_TRANSCRIPT
from callflow.engine.states import HEARING, Hearing, HearingMove

NO_RECOGNITION = "This system does not recognise speech."
_KNOWN = re.compile(r"en\b|en_", re.IGNORECASE)


def knows(language: str) -> bool:
    """Return whether a language, or a dialect, is understood here: English is."""
    return _KNOWN.match(language) is not None


def unknown_language(language: str) -> str:
    """Return the sentence that refuses a language."""
    return f"The recogniser does not know the language {language}."


class Listener(Protocol):
    """A verb that listens."""

    def delayed(self, seconds: float) -> None:
        """Wait so much longer, as somebody speaks; less if it is negative, as that is over."""

    def words_heard(self, now: float) -> None:
        """Take note of further words."""

    def listening_noted(self, sentence: str, now: float) -> None:
        """Take what the document's author should know."""


class Listening:
    """One listening, and what it has heard so far."""

    def __init__(self, listener: Listener, number: int) -> None:
        self.confidence = 0.0
        """The mean of its utterances, from 0 to 1."""
        self.listener = listener
        self.number = number
        self.transcript = ""
        """All words, at most `MAX_TRANSCRIPT` characters."""
        self._patience = MAX_SPEAKING_SECONDS
        self._since = 0.0
        self._state = Hearing.SILENCE
        self._utterances = 0

    @property
    def is_full(self) -> bool:
        """Whether there is no room for more words."""
        return len(self.transcript) >= MAX_TRANSCRIPT

    def delay(self, now: float) -> float:
        """Return how long a timer still has to wait for what is being said; 0 if nobody speaks."""
        return max(0.0, self._since + self._patience - now) if self._state is Hearing.SPEECH else 0.0

    def speech_began(self, now: float) -> None:
        """Take note that somebody speaks."""
        if self._state is Hearing.SILENCE:
            self._since = now
            self._move(HearingMove.BEGIN)
            self.listener.delayed(self.delay(now))

    def speech_ended(self, now: float) -> None:
        """Take note that it held no words."""
        if self._state is Hearing.SPEECH:
            self._patience = self.delay(now)
            self._move(HearingMove.END)
            self.listener.delayed(-self._patience)

    def words_heard(self, text: str, confidence: float, now: float) -> None:
        """Add the words of one utterance."""
        self.transcript = f"{self.transcript} {text}".strip()[:MAX_TRANSCRIPT]
        self._utterances += 1
        self.confidence += (confidence - self.confidence) / self._utterances
        self._patience = MAX_SPEAKING_SECONDS
        self._move(HearingMove.END)
        self.listener.words_heard(now)

    def stop(self) -> None:
        """Hear no more."""
        self._move(HearingMove.STOP)

    def _move(self, move: HearingMove) -> None:
        self._state = HEARING[self._state][move]


class Listenings:
    """The listenings of one call; `emit` queues what the shell has to do."""

    def __init__(self, emit: Callable[[Effect], None], new_number: Callable[[], int]) -> None:
        self._emit = emit
        self._listenings: dict[int, Listening] = {}
        self._new_number = new_number

    # What verbs want.

    def start(self, listener: Listener, phrases: tuple[str, ...], language: str) -> Listening:
        """Listen for phrases, or without any for whatever is said."""
        listening = Listening(listener, self._new_number())
        self._listenings[listening.number] = listening
        self._emit(Listen(listening.number, phrases, language))
        return listening

    def stop(self, listening: Listening) -> None:
        """Listen no longer: what is not understood yet is dropped. One that is over is ignored."""
        if self._listenings.pop(listening.number, None) is not None:
            listening.stop()
            self._emit(StopListening(listening.number))

    # What the recogniser says.

    def speech_began(self, number: int, now: float) -> None:
        """Take note that somebody speaks."""
        if number in self._listenings:
            self._listenings[number].speech_began(now)

    def speech_ended(self, number: int, now: float) -> None:
        """Take note that what sounded like speech held no words."""
        if number in self._listenings:
            self._listenings[number].speech_ended(now)

    def words_heard(self, number: int, text: str, confidence: float, now: float) -> None:
        """Take the words of one utterance, and how sure the recogniser is, from 0 to 1."""
        if number in self._listenings:
            self._listenings[number].words_heard(text, confidence, now)

    def words_lacking(self, number: int, words: tuple[str, ...], now: float) -> None:
        """Take which words of its phrases a listening cannot hear."""
        if number in self._listenings:
            self._listenings[number].listener.listening_noted(f"The recogniser does not know the words: {', '.join(words)}.", now)

    def listening_over(self, number: int, sentence: str | None, now: float) -> None:
        """Take note that a listening is over, or could not begin, and what went wrong, if anything did."""
        listening = self._listenings.pop(number, None)
        if listening is not None:
            if sentence is not None:
                listening.listener.listening_noted(sentence, now)
            listening.speech_ended(now)
            listening.stop()
