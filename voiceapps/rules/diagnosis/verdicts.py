"""What became of a call, in one sentence for a person: what happened, why, and what to do about it.

Theory of operation. `judge` looks at the facts of a call and names its verdict, which is data: it is kept with the call, lists are filtered
by it. One sign never decides alone: a call is only said to have had no audio if it lasted long enough to have some, the other side was
heard, and the figures are there. `explain` puts the verdict into words, with what is known of this very call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from voiceapps.rules.endings import EndReason
from voiceapps.rules.media_figures import MediaFigures

HEARD_SECONDS = 2.0
"""A shorter call proves nothing about its audio: a telephone may need as long to begin."""
POOR_MOS = 3.1
"""Below it nearly all users are dissatisfied (ITU-T G.107 annex B)."""


class Level(StrEnum):
    """How bad it is."""

    GOING_ON = "going-on"
    GOOD = "good"
    DOUBTFUL = "doubtful"
    BAD = "bad"


class VerdictCode(StrEnum):
    """What became of a call."""

    GOING_ON = "going_on"
    HEARD = "heard"
    UNMEASURED = "unmeasured"
    SHORT = "short"
    POOR_AUDIO = "poor_audio"
    CALLER_UNHEARD = "caller_unheard"
    CALLER_DEAF = "caller_deaf"
    NO_AUDIO = "no_audio"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    WEBHOOK_FAILED = "webhook_failed"
    INVALID_BXML = "invalid_bxml"
    APPLICATION_FAILED = "application_failed"
    TARGET_REFUSED = "target_refused"
    NO_CALLFLOW = "no_callflow"
    NO_RELAY = "no_relay"
    NO_CAPACITY = "no_capacity"
    NODE_LOST = "node_lost"
    INTERNAL_ERROR = "internal_error"
    MEDIA_REFUSED = "media_refused"
    UNACKNOWLEDGED = "unacknowledged"
    MEDIA_LOST = "media_lost"
    CALLER_LOST = "caller_lost"

    @property
    def level(self) -> Level:
        """How bad it is."""
        return _KINDS[self].level

    @property
    def headline(self) -> str:
        """What happened, without the facts of one call."""
        return _KINDS[self].title


@dataclass(frozen=True, slots=True)
class Story:
    """The facts of a call that its verdict rests on."""

    end_reason: EndReason | None = None
    """None while it goes on."""
    seconds: float = 0.0
    """Between answer and end."""
    sip_status: int | None = None
    error: str = ""
    """The sentence that the call flow has left."""
    media: tuple[MediaFigures, ...] = ()
    """The last figures of each side."""
    notice: str = ""
    """What the relay said last of audio that does not come."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one call, in words."""

    code: VerdictCode
    title: str
    cause: str
    remedy: str

    @property
    def level(self) -> Level:
        """How bad it is."""
        return self.code.level


@dataclass(frozen=True, slots=True)
class _Kind:
    level: Level
    title: str
    cause: str
    remedy: str


def judge(story: Story) -> VerdictCode:
    """Return what became of a call."""
    if story.end_reason is None:
        return VerdictCode.GOING_ON
    by_end = _BY_END.get(story.end_reason)
    return by_end if by_end is not None else _of_audio(story)


def depends_on_audio(reason: EndReason) -> bool:
    """Return whether the end of a call says nothing about it by itself: one of the two sides ended it as calls end."""
    return reason not in _BY_END


def explain(story: Story) -> Verdict:
    """Return the verdict on a call, with the facts of this one."""
    code = judge(story)
    kind = _KINDS[code]
    cause = _CAUSES[code](story) if code in _CAUSES else kind.cause
    return Verdict(code, kind.title, cause or kind.cause, kind.remedy)


def _of_audio(story: Story) -> VerdictCode:
    """Return the verdict on a call that one of the two sides ended as calls end."""
    external, internal = _side(story, "external"), _side(story, "internal")
    if external is None or internal is None:
        return VerdictCode.UNMEASURED
    heard, spoke = external.packets_in > 0, internal.packets_in > 0
    if story.seconds < HEARD_SECONDS and not (heard and spoke):
        return VerdictCode.SHORT
    match heard, spoke:
        case False, False:
            return VerdictCode.NO_AUDIO
        case False, True:
            return VerdictCode.CALLER_UNHEARD
        case True, False:
            return VerdictCode.CALLER_DEAF
    worst = min((side.mos for side in story.media if side.mos is not None), default=None)
    return VerdictCode.POOR_AUDIO if worst is not None and worst < POOR_MOS else VerdictCode.HEARD


def _side(story: Story, name: str) -> MediaFigures | None:
    return next((side for side in story.media if side.side == name), None)


def _unheard(story: Story) -> str:
    """Return why the caller's audio did not arrive: the relay has looked."""
    side = _side(story, "external")
    sent = f"We sent {side.packets_out} packets and got none. " if side else ""
    return sent + (story.notice or (f"The caller's session description asked for {side.advertised}." if side and side.advertised else ""))


def _deaf(story: Story) -> str:
    side = _side(story, "external")
    return f"The caller sent {side.packets_in} packets, and none of ours reached the relay." if side else ""


def _poor(story: Story) -> str:
    worst = min((side for side in story.media if side.mos is not None), key=lambda side: side.mos or 0.0)
    whose = "The caller's audio" if worst.side != "internal" else "Our audio"
    share = 100 * worst.lost / max(1, worst.lost + worst.packets_in)
    return f"{whose} scored {worst.mos:.1f} of 4.4: {share:.1f} % of its packets were lost, with {worst.jitter_ms:.1f} ms of jitter."


def _error(story: Story) -> str:
    return story.error


def _refused(story: Story) -> str:
    status = f"The target answered {story.sip_status}." if story.sip_status else ""
    return f"{story.error} {status}".strip()


_CAUSES: Mapping[VerdictCode, Callable[[Story], str]] = {
    VerdictCode.CALLER_UNHEARD: _unheard,
    VerdictCode.CALLER_DEAF: _deaf,
    VerdictCode.POOR_AUDIO: _poor,
    VerdictCode.REJECTED: _error,
    VerdictCode.WEBHOOK_FAILED: _error,
    VerdictCode.INVALID_BXML: _error,
    VerdictCode.APPLICATION_FAILED: _error,
    VerdictCode.TARGET_REFUSED: _refused,
    VerdictCode.INTERNAL_ERROR: _error,
    VerdictCode.MEDIA_REFUSED: _error,
    VerdictCode.NODE_LOST: _error,
}
"""What is to be said of one call instead of what holds for all of its kind."""

_BY_END = {
    EndReason.CALLER_CANCELLED: VerdictCode.CANCELLED,
    EndReason.APPLICATION_REJECTED: VerdictCode.REJECTED,
    EndReason.CALLBACK_ERROR: VerdictCode.WEBHOOK_FAILED,
    EndReason.INVALID_BXML: VerdictCode.INVALID_BXML,
    EndReason.APPLICATION_ERROR: VerdictCode.APPLICATION_FAILED,
    EndReason.TARGET_REFUSED: VerdictCode.TARGET_REFUSED,
    EndReason.NO_CALLFLOW: VerdictCode.NO_CALLFLOW,
    EndReason.NO_MEDIA_RELAY: VerdictCode.NO_RELAY,
    EndReason.NODE_CAPACITY: VerdictCode.NO_CAPACITY,
    EndReason.NODE_LOST: VerdictCode.NODE_LOST,
    EndReason.INTERNAL_ERROR: VerdictCode.INTERNAL_ERROR,
    EndReason.UNSUPPORTED_MEDIA: VerdictCode.MEDIA_REFUSED,
    EndReason.ACK_TIMEOUT: VerdictCode.UNACKNOWLEDGED,
    EndReason.MEDIA_TIMEOUT: VerdictCode.MEDIA_LOST,
    EndReason.CALLER_UNREACHABLE: VerdictCode.CALLER_LOST,
}
"""Ends that are verdicts by themselves; of the others the audio decides."""

_FIREWALL = "Have the caller's firewall let UDP in from our relay's address and ports, and switch SIP ALG off in their router."

_KINDS = {
    VerdictCode.GOING_ON: _Kind(Level.GOING_ON, "The call goes on", "It has not ended yet.", ""),
    VerdictCode.HEARD: _Kind(
        Level.GOOD, "Answered, and both sides were heard", "Packets came from both sides until one of them hung up.", ""
    ),
    VerdictCode.UNMEASURED: _Kind(
        Level.GOOD, "Answered, and ended by one of the two sides", "No relay of ours carried its audio, so nothing is known of that.", ""
    ),
    VerdictCode.SHORT: _Kind(
        Level.DOUBTFUL,
        "Answered, but over before any audio was heard",
        f"It lasted less than {HEARD_SECONDS:g} s, which proves nothing about its audio.",
        "Call again and stay for a few seconds if audio is in doubt.",
    ),
    VerdictCode.POOR_AUDIO: _Kind(
        Level.DOUBTFUL, "Answered, but it sounded bad", "", "Look at loss and jitter of each side: the worse one names the network to ask."
    ),
    VerdictCode.CALLER_UNHEARD: _Kind(
        Level.BAD,
        "Answered, but the caller's audio never arrived",
        "Our audio went out, and nothing came back.",
        f"{_FIREWALL} If its audio comes from another address, add that to the application's media addresses.",
    ),
    VerdictCode.CALLER_DEAF: _Kind(
        Level.BAD,
        "Answered, but the caller heard nothing",
        "Audio came from the caller, and none from our side.",
        "Look at the call-flow node: its media address must be one that the relay reaches.",
    ),
    VerdictCode.NO_AUDIO: _Kind(
        Level.BAD,
        "Answered, but no audio at all was carried",
        "The relay got packets from neither side.",
        "Look at the relay's addresses and ports in its node's page, and at the firewall in front of it.",
    ),
    VerdictCode.CANCELLED: _Kind(
        Level.DOUBTFUL,
        "The caller hung up before the answer",
        "A CANCEL came while the call was ringing.",
        "If callers often do, look at how long the first webhook takes.",
    ),
    VerdictCode.REJECTED: _Kind(
        Level.DOUBTFUL,
        "The application turned the call away",
        "Its document hung up before the call was answered.",
        "Nothing is broken; the application's document decides.",
    ),
    VerdictCode.WEBHOOK_FAILED: _Kind(
        Level.BAD,
        "The application's webhook failed",
        "No document came.",
        "See the request and its answer under Webhooks; then have the server mended, or give the application a fallback URL.",
    ),
    VerdictCode.INVALID_BXML: _Kind(
        Level.BAD,
        "The application answered with BXML that is wrong",
        "The document could not be run.",
        "The sentence names the verb and the rule; correct the document, and try it in the test bench.",
    ),
    VerdictCode.APPLICATION_FAILED: _Kind(
        Level.BAD,
        "Something that the application asked for failed",
        "A sound, a document or another resource of the application was not there.",
        "See the last requests under Webhooks and the notices in the ladder.",
    ),
    VerdictCode.TARGET_REFUSED: _Kind(
        Level.BAD,
        "The application's own SIP target refused the call",
        "Its final response was no answer.",
        "Ask whoever runs the target for the answer to this Call-ID.",
    ),
    VerdictCode.NO_CALLFLOW: _Kind(
        Level.BAD, "No call-flow node took the call", "None was up, or none had room.", "Look at the nodes: start one, or end its draining."
    ),
    VerdictCode.NO_RELAY: _Kind(
        Level.BAD,
        "No media relay took the call",
        "None was up, or none had ports left.",
        "Look at the nodes: start one, or end its draining.",
    ),
    VerdictCode.NO_CAPACITY: _Kind(
        Level.BAD, "The node had no room for the call", "As many calls were up as it may hold.", "Add a node, or raise its limit."
    ),
    VerdictCode.NODE_LOST: _Kind(
        Level.BAD,
        "The node that held the call was lost",
        "It stopped answering, and with it the call.",
        "Look at the node's log of that time.",
    ),
    VerdictCode.INTERNAL_ERROR: _Kind(
        Level.BAD,
        "An error of our own ended the call",
        "The node's log says more.",
        "Look for the call's id in the node's log, and report what you find.",
    ),
    VerdictCode.MEDIA_REFUSED: _Kind(
        Level.BAD,
        "The caller's description of its audio was refused",
        "It offered nothing that can be taken.",
        "Have the caller offer G.711; if encryption is the point, set the application's secure media as the caller can.",
    ),
    VerdictCode.UNACKNOWLEDGED: _Kind(
        Level.BAD,
        "Answered, but the caller never acknowledged it",
        "Our 200 OK did not reach the caller, or its ACK did not reach us.",
        "See where the ladder's last messages went: SIP ALG in a router, or a Contact that cannot be reached, is likely.",
    ),
    VerdictCode.MEDIA_LOST: _Kind(
        Level.BAD,
        "The caller's audio broke off, and the caller answered no more",
        "No packet came for as long as the application allows, and our question in the dialog got no answer.",
        "The caller has lost its network, or its NAT forgot the call: a shorter keep-alive may help.",
    ),
    VerdictCode.CALLER_LOST: _Kind(
        Level.BAD,
        "The caller could not be reached any more",
        "A request in the dialog was answered by nobody.",
        "The caller has lost its network, or its NAT forgot the call: a shorter keep-alive may help.",
    ),
}
