"""The running form of each verb, by its document form (`callflow.bxml.verbs`)."""

from __future__ import annotations

from callflow.bxml import Verb
from callflow.bxml.verbs.background_gather import StartGather, StopGather
from callflow.bxml.verbs.background_recording import (
    PauseRecordingVerb,
    ResumeRecordingVerb,
    StartRecordingVerb,
    StopRecordingVerb,
)
from callflow.bxml.verbs.gather import Gather
from callflow.bxml.verbs.hangup import Hangup
from callflow.bxml.verbs.pause import Pause
from callflow.bxml.verbs.play_audio import PlayAudio
from callflow.bxml.verbs.record import RecordVerb
from callflow.bxml.verbs.redirect import Redirect
from callflow.bxml.verbs.refer import Refer
from callflow.bxml.verbs.ring import Ring
from callflow.bxml.verbs.send_dtmf import SendDtmf
from callflow.bxml.verbs.speak_sentence import SpeakSentence
from callflow.bxml.verbs.streams import StartStream, StopStream
from callflow.bxml.verbs.tag import Tag
from callflow.bxml.verbs.transcription import StartTranscription, StopTranscription
from callflow.engine.step import Step
from callflow.engine.verbs.background_gather import StartGatherStep, StopGatherStep
from callflow.engine.verbs.background_recording import (
    PauseRecordingStep,
    ResumeRecordingStep,
    StartRecordingStep,
    StopRecordingStep,
)
from callflow.engine.verbs.gather import GatherStep
from callflow.engine.verbs.hangup import HangupStep
from callflow.engine.verbs.pause import PauseStep
from callflow.engine.verbs.play_audio import PlayAudioStep
from callflow.engine.verbs.record import RecordStep
from callflow.engine.verbs.redirect import RedirectStep
from callflow.engine.verbs.refer import ReferStep
from callflow.engine.verbs.ring import RingStep
from callflow.engine.verbs.send_dtmf import SendDtmfStep
from callflow.engine.verbs.speak_sentence import SpeakSentenceStep
from callflow.engine.verbs.streams import StartStreamStep, StopStreamStep
from callflow.engine.verbs.tag import TagStep
from callflow.engine.verbs.transcription import StartTranscriptionStep, StopTranscriptionStep

STEPS: dict[type[Verb], type[Step]] = {
    Gather: GatherStep,
    Hangup: HangupStep,
    Pause: PauseStep,
    PlayAudio: PlayAudioStep,
    RecordVerb: RecordStep,
    Redirect: RedirectStep,
    Refer: ReferStep,
    Ring: RingStep,
    SendDtmf: SendDtmfStep,
    SpeakSentence: SpeakSentenceStep,
    StartGather: StartGatherStep,
    StopGather: StopGatherStep,
    StartRecordingVerb: StartRecordingStep,
    PauseRecordingVerb: PauseRecordingStep,
    ResumeRecordingVerb: ResumeRecordingStep,
    StopRecordingVerb: StopRecordingStep,
    StartStream: StartStreamStep,
    StopStream: StopStreamStep,
    StartTranscription: StartTranscriptionStep,
    StopTranscription: StopTranscriptionStep,
    Tag: TagStep,
}
