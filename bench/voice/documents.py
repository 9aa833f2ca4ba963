"""What the calls do: the documents of each scenario, which the backend finds by the user that a call comes from."""

from __future__ import annotations

from dataclasses import dataclass

from bench.voice import hostile
from sipproxy.headers.call_headers import MediaSecurity

TONE_SECONDS, PLAYED = 60, 30
"""How long the sound is, and how often a call plays it: longer than any run."""
REDIRECTS = 300
"""Documents of a call that only fetches, each by a webhook of its own: fewer than the engine takes for a circle."""
MESSAGES_A_SECOND = 50
"""Of each track that a call streams."""
LONGEST_SECONDS = TONE_SECONDS * PLAYED


@dataclass(frozen=True, slots=True)
class Scenario:
    """What a number of calls does all the time; `{0}` in the document is the backend's URL, without its scheme."""

    document: str
    security: MediaSecurity = MediaSecurity.PLAIN
    tracks: int = 0
    """How many of them each call streams."""
    recorded: bool = False
    """Whether each call leaves a file."""
    crowd: bool = False
    """Whether there are as many calls as the engine has to bear, instead of as many as it is measured with."""
    besieged: bool = False
    """Whether calls of hostile servers come and go beside the measured ones."""


_PLAY = "<PlayAudio>http://{0}/tone.wav</PlayAudio>" * PLAYED
_HANG_UP = "<Response><Hangup/></Response>"
SCENARIOS = {
    "play": Scenario(f"<Response>{_PLAY}</Response>"),
    "record": Scenario(f'<Response><Record maxDuration="{LONGEST_SECONDS}"/></Response>', recorded=True),
    "play and record": Scenario(f'<Response><StartRecording multiChannel="true"/>{_PLAY}</Response>', recorded=True),
    "stream": Scenario(f'<Response><StartStream destination="ws://{{0}}/stream"/>{_PLAY}</Response>', tracks=1),
    "stream both": Scenario(f'<Response><StartStream destination="ws://{{0}}/stream" tracks="both"/>{_PLAY}</Response>', tracks=2),
    "play, encrypted": Scenario(f"<Response>{_PLAY}</Response>", MediaSecurity.REQUIRED),
    "crowd": Scenario(f"<Response>{_PLAY}</Response>", crowd=True),
    "besieged": Scenario(f"<Response>{_PLAY}</Response>", besieged=True),
}
FETCHING = "fetch"
"""The user of a call that fetches one document after the other."""


def user_of(scenario: str) -> str:
    """Return the user part that stands for a scenario in a call's From."""
    return "".join(filter(str.isalpha, scenario))


def document_for(uri: str, place: str) -> str:
    """Return the first document of a call; `uri` is who calls, `place` the backend's host and port."""
    user = uri.partition(":")[2].partition("@")[0]
    if user == FETCHING:
        return next_document(REDIRECTS)
    documents = hostile.DOCUMENTS | {name: scenario.document for name, scenario in SCENARIOS.items()}
    return {user_of(name): document for name, document in documents.items()}[user].format(place)


def next_document(left: int) -> str:
    """Return a document that fetches as many others, one after the other."""
    return f'<Response><Redirect redirectUrl="/again/{left - 1}"/></Response>' if left else _HANG_UP
