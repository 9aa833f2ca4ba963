"""Run `<Gather>`: prompts until the first digit, then digits until one of four ends.

It ends at a terminating digit; at `maxDigits`; when the next digit takes longer than `interDigitTimeout`; and when no digit
comes within `firstDigitTimeout` after the last repeat of the prompts. Without a URL the digits are dropped and the next
verb runs. Nobody here recognises speech: one that wants words only hears nothing.
"""

from __future__ import annotations

from functools import partial

from callflow.audio.octets import Octets
from callflow.bxml.verbs.gather import Gather
from callflow.bxml.verbs.play_audio import PlayAudio
from callflow.bxml.verbs.speak_sentence import SpeakSentence
from callflow.engine.effects import AudioWanted, SpeechWanted
from callflow.engine.prompt import Prompt
from callflow.engine.states import GATHERING, Gathering, GatherMove
from callflow.engine.step import Stage, Step
from callflow.engine.verbs.play_audio import audio_wanted
from callflow.engine.verbs.speak_sentence import speech_wanted
from callflow.engine.verbs.transcription import NO_RECOGNITION
from voiceapps.rules import webhook_bodies


class GatherStep(Step):
    """A `<Gather>` that collects digits."""

    def __init__(self, stage: Stage, verb: Gather) -> None:
        super().__init__(stage, verb)
        self._digits = ""
        self._next_prompt = 0
        self._prompt = Prompt(stage)
        self._repeats = 0
        self._state = Gathering.PROMPTING
        self._verb = verb

    def begin(self, now: float) -> None:
        """Start the first round of prompts."""
        self._stage.set_tag(self._verb.tag)
        if self._verb.wants_words:
            self._stage.note(f"<Gather>: {NO_RECOGNITION}", now)
        for prompt in self._verb.prompts:
            if isinstance(prompt, SpeakSentence):
                self._stage.note(prompt.note, now)
        self._begin_round(now)

    def abandon(self, now: float) -> None:
        """Stop the prompts."""
        self._prompt.stop()

    @property
    def collects_digits(self) -> bool:
        """Whether digits are its own."""
        return self._verb.takes_digits

    def digit_received(self, digit: str, now: float) -> None:
        """Stop the prompts and keep the digit; end if it is the last one."""
        if not self._verb.takes_digits:
            return
        if self._state is Gathering.PROMPTING:
            self._prompt.stop()
        self._move(GatherMove.DIGIT)
        if digit in self._verb.terminating_digits:
            self._finish(digit, now)
            return
        self._digits += digit
        self.deadline = now + self._verb.inter_digit_timeout
        if len(self._digits) >= self._verb.max_digits:
            self._finish("", now)

    def handle_timer(self, now: float) -> None:
        """Repeat the prompts, or report what has been collected."""
        if self._state is Gathering.WAITING and self._repeats < self._verb.repeat_count:
            self._move(GatherMove.REPEAT)
            self._begin_round(now)
        else:
            self._finish("", now)

    def playback_finished(self, number: int, now: float) -> None:
        """Play the next prompt."""
        if self._prompt.over(number):
            self._go_on_prompting(now)

    def sound_ready(self, number: int, ulaw: Octets) -> None:
        """Play the prompt."""
        self._prompt.play(ulaw)

    def wants_sound(self, number: int) -> bool:
        """Return whether it is a prompt that no digit has stopped."""
        return self._prompt.wants(number)

    def _begin_round(self, now: float) -> None:
        self._repeats += 1
        self._next_prompt = 0
        self._go_on_prompting(now)

    def _finish(self, terminating_digit: str, now: float) -> None:
        self._move(GatherMove.FINISH)
        self.deadline = None
        webhook = self._verb.webhook
        if webhook is None:
            self._stage.verb_done(now)
            return
        body = webhook_bodies.gather(self._stage.view(now), self._digits, terminating_digit)
        self._stage.fetch("gather", webhook, body, now)

    def _go_on_prompting(self, now: float) -> None:
        self.deadline = None
        if self._next_prompt < len(self._verb.prompts):
            self._prompt.begin(partial(self._make_effect, self._verb.prompts[self._next_prompt]))
            self._next_prompt += 1
            return
        self._move(GatherMove.PROMPTS_OVER)
        self.deadline = now + self._verb.first_digit_timeout

    def _make_effect(self, verb: SpeakSentence | PlayAudio, number: int) -> SpeechWanted | AudioWanted:
        return speech_wanted(verb, number) if isinstance(verb, SpeakSentence) else audio_wanted(self._stage, verb, number)

    def _move(self, move: GatherMove) -> None:
        self._state = GATHERING[self._state][move]
