"""The table of verbs, by the name of their element."""

from __future__ import annotations

from typing import Protocol, Self

from callflow.bxml.element import ElementReader
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


class Verb(Protocol):
    """What the document form of every verb has."""

    @property
    def line(self) -> int:
        """The line of the document on which its element starts."""

    @classmethod
    def parse(cls, reader: ElementReader) -> Self:
        """Read the element; raises BxmlError."""


VERBS: dict[str, type[Verb]] = {
    "SpeakSentence": SpeakSentence,
    "PlayAudio": PlayAudio,
    "Pause": Pause,
    "Gather": Gather,
    "Record": RecordVerb,
    "Redirect": Redirect,
    "Hangup": Hangup,
    "Ring": Ring,
    "SendDtmf": SendDtmf,
    "Tag": Tag,
    "StartGather": StartGather,
    "StopGather": StopGather,
    "StartRecording": StartRecordingVerb,
    "PauseRecording": PauseRecordingVerb,
    "ResumeRecording": ResumeRecordingVerb,
    "StopRecording": StopRecordingVerb,
    "StartStream": StartStream,
    "StopStream": StopStream,
    "StartTranscription": StartTranscription,
    "StopTranscription": StopTranscription,
    "Refer": Refer,
}
"""Error messages list the verbs in this order."""
