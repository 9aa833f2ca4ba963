"""The running form of each verb, by its document form (`callflow.bxml.verbs`)."""

from __future__ import annotations

from callflow.bxml import Verb
from callflow.bxml.verbs.gather import Gather
from callflow.bxml.verbs.hangup import Hangup
from callflow.bxml.verbs.pause import Pause
from callflow.bxml.verbs.play_audio import PlayAudio
from callflow.bxml.verbs.record import RecordVerb
from callflow.bxml.verbs.redirect import Redirect
from callflow.bxml.verbs.speak_sentence import SpeakSentence
from callflow.engine.step import Step
from callflow.engine.verbs.gather import GatherStep
from callflow.engine.verbs.hangup import HangupStep
from callflow.engine.verbs.pause import PauseStep
from callflow.engine.verbs.play_audio import PlayAudioStep
from callflow.engine.verbs.record import RecordStep
from callflow.engine.verbs.redirect import RedirectStep
from callflow.engine.verbs.speak_sentence import SpeakSentenceStep

STEPS: dict[type[Verb], type[Step]] = {
    Gather: GatherStep,
    Hangup: HangupStep,
    Pause: PauseStep,
    PlayAudio: PlayAudioStep,
    RecordVerb: RecordStep,
    Redirect: RedirectStep,
    SpeakSentence: SpeakSentenceStep,
}
