"""What the calls do: the documents of each scenario, which the backend finds by the user that a call comes from."""

from __future__ import annotations

from dataclasses import dataclass

from sipproxy.headers.call_headers import MediaSecurity

TONE_SECONDS, PLAYED = 60, 30
"""How long the sound is, and how often a call plays it: longer than any run."""
REDIRECTS = 300
"""Documents of a call that only fetches, each by a webhook of its own: fewer than the engine takes for a circle."""
STREAM_MESSAGES_A_SECOND = 100
"""Of each call that streams both of its tracks."""
LONGEST_SECONDS = TONE_SECONDS * PLAYED


@dataclass(frozen=True, slots=True)
class Scenario:
    """What a number of calls does all the time; `{0}` in the document is the backend's URL, without its scheme."""

    document: str
    security: MediaSecurity = MediaSecurity.PLAIN
    recorded: bool = False
    """Whether each call leaves a file."""
    crowd: bool = False
    """Whether there are as many calls as the engine has to bear, instead of as many as it is measured with."""


_PLAY = "<PlayAudio>http://{0}/tone.wav</PlayAudio>" * PLAYED
_HANG_UP = "<Response><Hangup/></Response>"
STREAM = "stream"
SCENARIOS = {
    "play": Scenario(f"<Response>{_PLAY}</Response>"),
    "record": Scenario(f'<Response><Record maxDuration="{LONGEST_SECONDS}"/></Response>', recorded=True),
    "play and record": Scenario(f'<Response><StartRecording multiChannel="true"/>{_PLAY}</Response>', recorded=True),
    STREAM: Scenario(f'<Response><StartStream destination="ws://{{0}}/stream" tracks="both"/>{_PLAY}</Response>'),
    "play, encrypted": Scenario(f"<Response>{_PLAY}</Response>", MediaSecurity.REQUIRED),
    "crowd": Scenario(f"<Response>{_PLAY}</Response>", crowd=True),
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
    documents = {user_of(name): scenario.document for name, scenario in SCENARIOS.items()}
    return documents[user].format(place)


def next_document(left: int) -> str:
    """Return a document that fetches as many others, one after the other."""
    return f'<Response><Redirect redirectUrl="/again/{left - 1}"/></Response>' if left else _HANG_UP
