"""Recordings that are written down, by the call flow's recogniser."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from callflow.aio.recognition.file import recognise_file
from callflow.aio.recognition.recogniser import RecognitionUnavailable
from callflow.audio.sound_error import SoundError
from voiceapps.rules.transcripts import NotTranscribedError, Transcript


async def transcribe(path: Path) -> Transcript:
    """Return what is understood of a recording; raises NotTranscribedError where nothing recognises speech, or the file is none of ours."""
    if settings.RECOGNITION == "off":
        raise NotTranscribedError("SIPURI_RECOGNITION is off.")
    try:
        return await recognise_file(path)
    except (RecognitionUnavailable, SoundError, OSError) as error:
        raise NotTranscribedError(str(error)) from error
