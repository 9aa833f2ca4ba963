"""What was written down of calls while they went on."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from django.conf import settings
from django.db import models

from voiceapps.models.calls import Call
from voiceapps.rules.transcripts import Speech, Transcript
from voiceapps.rules.webhook_bodies import call_url, live_transcript_url


class TrackSpeech(NamedTuple):
    """What was said on a track."""

    track: str
    language: str
    said: Speech


class LiveTranscript(models.Model):
    """What one `<StartTranscription>` has written down."""

    transcription_id = models.CharField(primary_key=True, max_length=38)
    call = models.ForeignKey(Call, on_delete=models.CASCADE, related_name="live_transcripts")
    name = models.CharField(max_length=256, help_text="What its verb calls it.")
    tracks = models.CharField(max_length=32)
    """Their names in order, with commas between them; a clip's speaker is the index of its track."""
    language = models.CharField(max_length=32)
    clips = models.TextField()
    """As `voiceapps.rules.transcripts.Transcript` writes itself."""
    ended_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar[list[str]] = ["-ended_at"]

    def __str__(self) -> str:
        return self.transcription_id

    @property
    def url(self) -> str:
        """The URL at which the API shows it."""
        return live_transcript_url(call_url(settings.PUBLIC_URL, self.call.account_id, self.call_id), self.transcription_id)

    def speeches(self) -> list[TrackSpeech]:
        """Return what was said on each track."""
        said = {speech.speaker: speech for speech in Transcript.parse(self.clips).speeches()}
        tracks = enumerate(self.tracks.split(","))
        return [TrackSpeech(track, self.language, said.get(index, Speech(index, "", 0.0))) for index, track in tracks]
