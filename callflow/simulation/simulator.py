"""Run a call's engine without a call.

Theory of operation. The simulator is the shell of one engine: it carries out effects by noting them. Time is its own: it jumps to
the next thing that happens, be it the end of a sound, a timer of the engine, or something that the caller does. Only documents
come from outside: `run` returns when the engine wants one, and goes on when `document_answered` has brought it. A webhook takes no
time of the call.

Sentences last as long as their words take, files three seconds: nobody fetches them. What the caller says is understood word for word, in
the languages of a real call; where there are hints, if it is one of them. It is the caller's turn when a `<Gather>` has said all, and
when a `<Record>` begins. Its telephone calls whom a `<Refer>` names, and reaches it at once. Streams are closed after three seconds by
the far end that is not there.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from functools import partial

from callflow.config import Application, CallflowConfig
from callflow.engine import effects as e
from callflow.engine.call_engine import CallEngine
from callflow.engine.listening import knows, unknown_language
from mediarelay.rtp.g711 import pcm16_to_ulaw
from voiceapps.rules.endings import EndClass
from voiceapps.rules.http.outbound import OutboundAnswer
from voiceapps.rules.masking import masked_url
from voiceapps.rules.reports import CallEnded, CallFacts, CallNotice, Report, StatusEventQueued, TranscriptionWanted
from voiceapps.rules.trials.call_simulation import (
    MAX_CHARACTERS,
    MAX_LINES,
    MAX_TEXT,
    SECONDS_A_WORD,
    Line,
    LineKind,
    Script,
    SimulatedCall,
    Turn,
)
from voiceapps.rules.webhook_bodies import CallerDetails, ReferView

MAX_SECONDS = 36_000.0
"""The longest simulated call; its caller hangs up then."""
FILE_SECONDS = 3.0
STREAM_SECONDS = 3.0
THINKING_SECONDS = 0.5
"""How long a caller waits before it presses the first digit."""
PRESS_SECONDS = 0.3
REACHED = ReferView(202, 200)
"""What comes of a REFER: no script says how a telephone takes one."""
FAILURES = frozenset({EndClass.UPSTREAM_ERROR, EndClass.SERVER_ERROR})
_SPOKEN_STEP = 0.5
_RATE = 8_000
_MARKS = '.,;:!?"()'
"""What nobody speaks."""
_LOUD = pcm16_to_ulaw(b"\x00\x20\x00\xe0" * 80)


class _Length:
    """A sound of which only the length is known."""

    def __init__(self, seconds: float) -> None:
        self._size = round(seconds * _RATE)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice, /) -> bytes:
        start, stop, _ = part.indices(self._size)
        return b"\xff" * max(0, stop - start)


class Simulation:
    """One call."""

    def __init__(
        self, script: Script, application: Application, facts: CallFacts, config: CallflowConfig, new_uuid: Callable[[], str]
    ) -> None:
        self._transcript: list[Line] = []
        self._characters = 0
        self._application = application
        self._asked = False
        """True once the caller had its turn in the verb that runs, since its last prompt."""
        self._engine = CallEngine(facts, CallerDetails(), config, new_uuid=new_uuid, epoch_offset=facts.started_at)
        self._fetch: e.FetchDocument | None = None
        self._listening: e.Listen | None = None
        """What is listened for."""
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._now = 0.0
        self._numbers = itertools.count()
        self._playing: int | None = None
        self._recorded: dict[str, tuple[float, float | None]] = {}
        """The seconds that each recording holds, and since when it goes on."""
        self._turns = iter(script.turns)
        self._verb = ""
        self._over = False
        self._problem: str | None = None
        self._note(LineKind.ARRIVED, f"from {facts.from_uri}")
        self._at(MAX_SECONDS if script.hangs_up_at is None else script.hangs_up_at, self._hang_up)
        self._engine.call_arrived(0.0)

    def run(self) -> e.FetchDocument | None:
        """Go on until the engine wants a document, which is returned, or the call is over."""
        while True:
            while (effect := self._engine.next_event()) is not None:
                self._carry_out(effect)
            if self._over:
                return None
            if self._fetch is not None:
                fetch, self._fetch = self._fetch, None
                return fetch
            self._take_turn()
            self._advance()

    def result(self, problem: str | None = None) -> SimulatedCall:
        """Return what has happened so far, and why the call failed, if it has or if the shell says so."""
        return SimulatedCall(tuple(self._transcript), problem or self._problem)

    def document_answered(self, number: int, answer: OutboundAnswer) -> None:
        """Take the answer to the webhook that `run` has returned."""
        status = answer.problem() or f"{answer.status}, {len(answer.body)} octets"
        self._note(LineKind.WEBHOOK_ANSWERED, status)
        self._engine.document_answered(number, answer, self._now)

    # Time.

    def _at(self, when: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._later, (when, next(self._numbers), act))

    def _advance(self) -> None:
        """Jump to the next thing that happens."""
        self._engine.media_heard(self._now)
        timer = self._engine.get_timer()
        if timer is not None and timer <= self._later[0][0]:
            self._now = max(self._now, timer)
            self._engine.media_heard(self._now)
            self._engine.handle_timer(self._now)
        else:
            self._now, _, act = heapq.heappop(self._later)
            self._engine.media_heard(self._now)
            act()

    # The caller.

    def _take_turn(self) -> None:
        if self._verb == "Gather" and self._playing is None and not self._asked:
            self._asked = True
            turn = next(self._turns, None)
            if turn is not None:
                self._press_after(turn, self._speak(turn))

    def _speak(self, turn: Turn) -> float:
        """Have the caller speak, and return when it is done: who listens understands each word."""
        if turn.words or turn.seconds:
            self._note(LineKind.CALLER_SAYS, turn.words or f"something, for {turn.seconds:g} s")
        if turn.words and self._listening is not None:
            self._at(self._now + turn.seconds, partial(self._hear, self._listening, turn.words))
            self._engine.listenings.speech_began(self._listening.number, self._now)
        steps = int(turn.seconds / _SPOKEN_STEP)
        for step in range(steps + 1 if turn.seconds else 0):
            self._at(self._now + step * _SPOKEN_STEP, lambda: self._engine.audio_received(_LOUD, self._now))
        return self._now + turn.seconds

    def _hear(self, wanted: e.Listen, words: str) -> None:
        if not wanted.phrases or _spoken(words) in map(_spoken, wanted.phrases):
            self._engine.listenings.words_heard(wanted.number, words, 1.0, self._now)
        elif wanted is self._listening:
            self._note(LineKind.NOTE, "<Gather>: What the caller said is none of the hints, and is not understood.")
            self._engine.listenings.speech_ended(wanted.number, self._now)

    def _press_after(self, turn: Turn, begin: float) -> None:
        for number, digit in enumerate(turn.digits):
            self._at(begin + THINKING_SECONDS + number * PRESS_SECONDS, partial(self._press, digit))

    def _press(self, digit: str) -> None:
        self._note(LineKind.CALLER_PRESSES, digit)
        self._engine.digit_received(digit, self._now)

    def _hang_up(self) -> None:
        self._note(LineKind.CALLER_HANGS_UP)
        self._engine.peer_hung_up(self._now)

    # Effects.

    def _carry_out(self, effect: e.Effect) -> None:
        match effect:
            case e.FetchDocument(_, event_type, webhook):
                self._fetch = effect
                self._note(LineKind.WEBHOOK, f"{event_type} to {masked_url(webhook.url)}")
            case e.VerbStarted(name, line):
                self._verb, self._asked = name, False
                self._note(LineKind.VERB, f"<{name}>, line {line}")
            case e.WriteReport(report):
                self._take_report(report)
            case e.StartRecording() | e.PauseRecording() | e.ResumeRecording() | e.StopRecording():
                self._carry_out_recording(effect)
            case e.SpeechWanted() | e.AudioWanted() | e.Play() | e.SendDigits() | e.StopPlaying():
                self._carry_out_sound(effect)
            case e.OpenStream() | e.CloseStream() | e.OpenTranscription() | e.CloseTranscription():
                self._carry_out_follower(effect)
            case _:
                self._carry_out_call(effect)

    def _carry_out_call(self, effect: e.Effect) -> None:
        match effect:
            case e.ApplicationWanted():
                self._engine.application_found(self._application, self._now)
            case e.Answer():
                self._note(LineKind.ANSWERED)
                self._engine.accepted()
                self._engine.acknowledged(self._now, self._now)
            case e.Listen(number, _, language) if not knows(language):
                self._engine.listenings.listening_over(number, unknown_language(language), self._now)
            case e.Listen():
                self._listening = effect
            case e.StopListening():
                self._listening = None
            case e.ProbePeer():
                self._engine.peer_answered(self._now)
            case e.ReferCaller(number, target):
                self._note(LineKind.REFERS, masked_url(target))
                self._engine.referrals.over(number, REACHED, self._now)
            case e.HangUp(status):
                self._note(LineKind.HUNG_UP if self._engine.answered else LineKind.REJECTED, "" if self._engine.answered else str(status))
            case _:
                pass

    def _carry_out_follower(self, effect: e.OpenStream | e.CloseStream | e.OpenTranscription | e.CloseTranscription) -> None:
        match effect:
            case e.OpenStream(stream_id, name, verb):
                self._note(LineKind.STREAM, f"{name} to {masked_url(verb.destination)}")
                self._engine.streams.opened(stream_id, self._now)
                self._at(self._now + STREAM_SECONDS, lambda: self._engine.streams.over(stream_id, "closed", "", self._now))
            case e.CloseStream(stream_id):
                self._engine.streams.over(stream_id, "closed", "", self._now)
            case e.OpenTranscription(number, _, verb) if not any(map(knows, verb.languages)):
                self._engine.transcriptions.over(number, "error", unknown_language(verb.languages[0]), self._now)
            case e.OpenTranscription(number):
                self._engine.transcriptions.opened(number, self._now)
            case e.CloseTranscription(number):
                self._engine.transcriptions.over(number, "closed", "", self._now)

    def _carry_out_sound(self, effect: e.SpeechWanted | e.AudioWanted | e.Play | e.SendDigits | e.StopPlaying) -> None:
        match effect:
            case e.SpeechWanted(number, markup, voice):
                self._note(LineKind.SAYS, f"{markup} ({voice.gender}, {voice.locale})")
                self._engine.sound_ready(number, _Length(max(1, len(markup.split())) * SECONDS_A_WORD), self._now)
            case e.AudioWanted(number, url):
                self._note(LineKind.PLAYS, masked_url(url))
                self._engine.sound_ready(number, _Length(FILE_SECONDS), self._now)
            case e.Play(number, ulaw):
                self._play(number, len(ulaw) / _RATE)
            case e.SendDigits(number, digits, tone_ms, interval_ms):
                self._note(LineKind.SENDS_DIGITS, digits)
                self._play(number, len(digits) * (tone_ms + interval_ms) / 1000)
            case e.StopPlaying():
                self._playing = None

    def _play(self, number: int, seconds: float) -> None:
        self._playing, self._asked = number, False
        self._at(self._now + seconds, lambda: self._finish(number))

    def _finish(self, number: int) -> None:
        if self._playing == number:
            self._playing = None
            self._engine.playback_finished(number, self._now)

    def _carry_out_recording(self, effect: e.StartRecording | e.PauseRecording | e.ResumeRecording | e.StopRecording) -> None:
        seconds, since = self._recorded.get(effect.recording_id, (0.0, None))
        seconds += 0.0 if since is None else self._now - since
        goes_on = isinstance(effect, e.StartRecording | e.ResumeRecording)
        self._recorded[effect.recording_id] = seconds, self._now if goes_on else None
        if isinstance(effect, e.StartRecording) and self._verb == "Record":
            turn = next(self._turns, Turn())
            self._press_after(turn, self._speak(turn))
        elif isinstance(effect, e.StopRecording):
            self._note(LineKind.RECORDED, f"{seconds:.1f} s")
            self._engine.recording_finished(effect.recording_id, round(seconds * 1000), self._now)

    def _take_report(self, report: Report) -> None:
        match report:
            case CallEnded():
                self._end(report)
            case CallNotice():
                self._note(LineKind.NOTE, report.text)
            case StatusEventQueued():
                self._note(LineKind.EVENT, f"{report.event_type} to {masked_url(report.url)}")
            case TranscriptionWanted() if report.url:
                self._note(LineKind.EVENT, f"transcriptionAvailable to {masked_url(report.url)}")
            case _:
                pass

    def _end(self, report: CallEnded) -> None:
        self._over = True
        cause = report.reason.cause
        text = f"{cause}: {report.error_message}" if report.error_message else cause
        self._problem = text if report.reason.end_class in FAILURES else None
        self._note(LineKind.ENDED, text)

    def _note(self, what: LineKind, text: str = "") -> None:
        shown = text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"
        self._characters += len(what) + len(shown)
        if not self._over and (len(self._transcript) == MAX_LINES - 1 or self._characters > MAX_CHARACTERS):
            self._over = True
            what, shown = LineKind.STOPPED, f"A transcript holds at most {MAX_LINES} lines and {MAX_CHARACTERS} characters."
            self._problem = shown
        if len(self._transcript) < MAX_LINES:
            self._transcript.append(Line(round(self._now, 3), what, shown))


def _spoken(phrase: str) -> str:
    """Return the words of a phrase as they sound."""
    return " ".join(filter(None, (word.strip(_MARKS) for word in phrase.casefold().split())))
