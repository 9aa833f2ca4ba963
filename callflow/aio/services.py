"""What a call's shell needs from outside."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass

from callflow.aio.media_clock import MediaClock
from callflow.aio.metrics import CallflowMetrics
from callflow.aio.recognition.recogniser import Recogniser
from callflow.aio.recordings.recorder import RecorderPool
from callflow.aio.sounds.fetcher import SoundFetcher
from callflow.aio.sounds.speech import Speaker
from callflow.config import Application, CallflowConfig
from daemonkit.address import Address
from voiceapps.daemon.outbound import WebhookClient
from voiceapps.rules.reports import Report

FindApplication = Callable[[str], Awaitable[Application | None]]


@dataclass(frozen=True, slots=True)
class Services:
    """What all calls share."""

    config: CallflowConfig
    clock: MediaClock
    client: WebhookClient
    find_application: FindApplication
    """Returns None if the application is gone or cannot be read."""
    metrics: CallflowMetrics
    put_record: Callable[[Report], None]
    recogniser: Recogniser | None
    """None where the extra `asr` is not installed, or not wanted."""
    recorders: RecorderPool
    sounds: SoundFetcher
    speaker: Speaker
    spawn: Callable[[Coroutine[object, object, None]], None]
    """Runs a call's work in a task, for whose end the daemon waits when it stops."""


@dataclass(frozen=True, slots=True)
class SipSide:
    """The user agent's commands for one call."""

    ring: Callable[[Address], None]
    """Send the 180 of a call that waits for it."""
    progress: Callable[[Address], None]
    """Let the caller hear us before the answer, where that is possible."""
    answer: Callable[[Address, float], None]
    """Takes the address of our audio, and the seconds between questions to a caller that needs them."""
    probe: Callable[[], None]
    """Ask by OPTIONS whether the caller is still there."""
    refer: Callable[[int, str], None]
    """Ask the caller by REFER to call a SIP URI; takes the number by which its outcome is told."""
    hang_up: Callable[[int], None]
    """Takes the final response that an unanswered call gets."""
