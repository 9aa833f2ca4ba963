"""Run `<Gather>`: prompts until the first digit or words, then digits or words until one of the ends.

It ends at a terminating digit; at `maxDigits`; when the next digit takes longer than `interDigitTimeout`; and when no digit
comes within `firstDigitTimeout` after the last repeat of the prompts. Where words are wanted it ends, too, when no more of them come
for `speechTimeout`; the first digit ends the listening. Without a URL what was collected is dropped and the next verb runs.
"""

from __future__ import annotations

from functools import partial

from callflow.audio.octets import Octets
from callflow.bxml.verbs.gather import Gather
from callflow.bxml.verbs.play_audio import PlayAudio
from callflow.bxml.verbs.speak_sentence import SpeakSentence
from callflow.engine.effects import AudioWanted, SpeechWanted
from callflow.engine.listening import Listening
from callflow.engine.prompt import Prompt
from callflow.engine.states import GATHERING, Gathering, GatherMove
from callflow.engine.step import Stage, Step
from callflow.engine.verbs.play_audio import audio_wanted
from callflow.engine.verbs.speak_sentence import speech_wanted
from voiceapps.rules import webhook_bodies
from voiceapps.rules.webhook_bodies import Speech


class GatherStep(Step):
    """A `<Gather>` that collects digits, words or both."""

    def __init__(self, stage: Stage, verb: Gather) -> None:
        super().__init__(stage, verb)
        self._digits = ""
        self._listening: Listening | None = None
        self._next_prompt = 0
        self._prompt = Prompt(stage)
        self._repeats = 0
        self._state = Gathering.PROMPTING
        self._verb = verb

    @classmethod
    def is_costly(cls, verb: Gather) -> bool:
        """Return whether it listens, which takes a process."""
        return verb.wants_words

    def begin(self, now: float) -> None:
        """Start the first round of prompts."""
        self._stage.set_tag(self._verb.tag)
        if self._verb.wants_words:
            self._listening = self._stage.listenings.start(self, self._verb.phrases, self._verb.language)
        for prompt in self._verb.prompts:
            if isinstance(prompt, SpeakSentence):
                self._stage.note(prompt.note, now)
        self._begin_round(now)

    def abandon(self, now: float) -> None:
        """Stop the prompts, and listen no longer."""
        self._prompt.stop()
        self._stop_listening()

    @property
    def collects_digits(self) -> bool:
        """Whether digits are its own."""
        return self._verb.takes_digits

    def digit_received(self, digit: str, now: float) -> None:
        """Stop the prompts and keep the digit; end if it is the last one."""
        if not self._verb.takes_digits:
            return
        self._prompt.stop()
        self._stop_listening()
        self._move(GatherMove.DIGIT)
        if digit in self._verb.terminating_digits:
            self._finish(digit, now)
            return
        self._digits += digit
        self._wait(self._verb.inter_digit_timeout, now)
        if len(self._digits) >= self._verb.max_digits:
            self._finish("", now)

    def handle_timer(self, now: float) -> None:
        """Repeat the prompts, or report what has been collected."""
        if self._state is Gathering.WAITING and self._repeats < self._verb.repeat_count:
            self._move(GatherMove.REPEAT)
            self._begin_round(now)
        else:
            self._finish("", now)

    def delayed(self, seconds: float) -> None:
        """Wait longer, as somebody speaks, or less."""
        if self.deadline is not None:
            self.deadline += seconds

    def words_heard(self, now: float) -> None:
        """Stop the prompts and wait for more words; end if there is no room for more."""
        self._prompt.stop()
        self._move(GatherMove.WORDS)
        if self._listening and self._listening.is_full:
            self._finish("", now)
        else:
            self._wait(self._verb.speech_timeout, now)

    def listening_noted(self, sentence: str, now: float) -> None:
        """Tell who looks at the call what the recogniser cannot do."""
        self._stage.note(f"<Gather>: {sentence}", now)

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
        self._stop_listening()
        webhook = self._verb.webhook
        if webhook is None:
            self._stage.verb_done(now)
            return
        body = webhook_bodies.gather(self._stage.view(now), self._digits, terminating_digit, self._speech())
        self._stage.fetch("gather", webhook, body, now)

    def _go_on_prompting(self, now: float) -> None:
        self.deadline = None
        if self._next_prompt < len(self._verb.prompts):
            self._prompt.begin(partial(self._make_effect, self._verb.prompts[self._next_prompt]))
            self._next_prompt += 1
            return
        self._move(GatherMove.PROMPTS_OVER)
        self._wait(self._verb.first_digit_timeout, now)

    def _make_effect(self, verb: SpeakSentence | PlayAudio, number: int) -> SpeechWanted | AudioWanted:
        return speech_wanted(verb, number) if isinstance(verb, SpeakSentence) else audio_wanted(self._stage, verb, number)

    def _speech(self) -> Speech | None:
        """Return what was heard, None if it is nothing."""
        heard = self._listening
        return Speech(heard.transcript, heard.confidence) if heard and heard.transcript else None

    def _stop_listening(self) -> None:
        if self._listening:
            self._stage.listenings.stop(self._listening)

    def _wait(self, seconds: float, now: float) -> None:
        """Have the timer run out in so many seconds, behind what is being said."""
        self.deadline = now + seconds + (self._listening.delay(now) if self._listening else 0.0)

    def _move(self, move: GatherMove) -> None:
        self._state = GATHERING[self._state][move]
