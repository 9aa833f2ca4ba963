"""Know every verb by its element's name."""

from __future__ import annotations

from collections.abc import Callable

from callflow.bxml.element import ElementReader
from callflow.bxml.verbs.gather import Gather
from callflow.bxml.verbs.hangup import Hangup
from callflow.bxml.verbs.pause import Pause
from callflow.bxml.verbs.play_audio import PlayAudio
from callflow.bxml.verbs.record import Record
from callflow.bxml.verbs.redirect import Redirect
from callflow.bxml.verbs.speak_sentence import SpeakSentence

Verb = SpeakSentence | PlayAudio | Pause | Gather | Record | Redirect | Hangup

VERBS: dict[str, Callable[[ElementReader], Verb]] = {
    "SpeakSentence": SpeakSentence.parse,
    "PlayAudio": PlayAudio.parse,
    "Pause": Pause.parse,
    "Gather": Gather.parse,
    "Record": Record.parse,
    "Redirect": Redirect.parse,
    "Hangup": Hangup.parse,
}
