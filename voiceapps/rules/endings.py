"""The ways in which a call can end, with one name each for log lines, metric labels, rows, badges and webhooks."""

from __future__ import annotations

from enum import StrEnum


class EndClass(StrEnum):
    """Who or what was responsible for the end."""

    SUCCESS = "success"
    CLIENT_ERROR = "client_error"
    POLICY = "policy"
    SERVER_ERROR = "server_error"
    UPSTREAM_ERROR = "upstream_error"
    NETWORK = "network"


class EndReason(StrEnum):
    """What ended the call."""

    CALLER_HANGUP = "caller_hangup"
    APPLICATION_HANGUP = "application_hangup"
    CALLER_CANCELLED = "caller_cancelled"
    APPLICATION_REJECTED = "application_rejected"
    CALLBACK_ERROR = "callback_error"
    INVALID_BXML = "invalid_bxml"
    APPLICATION_ERROR = "application_error"
    TARGET_REFUSED = "target_refused"
    NO_CALLFLOW = "no_callflow"
    NO_MEDIA_RELAY = "no_media_relay"
    NODE_CAPACITY = "node_capacity"
    NODE_LOST = "node_lost"
    INTERNAL_ERROR = "internal_error"
    UNSUPPORTED_MEDIA = "unsupported_media"
    ACK_TIMEOUT = "ack_timeout"
    MEDIA_TIMEOUT = "media_timeout"
    CALLER_UNREACHABLE = "caller_unreachable"

    @property
    def end_class(self) -> EndClass:
        """The class of this reason."""
        return _CLASSES[self]

    @property
    def cause(self) -> str:
        """The `cause` in the disconnect webhook."""
        return _CAUSES[self]


_CLASSES = {
    EndReason.CALLER_HANGUP: EndClass.SUCCESS,
    EndReason.APPLICATION_HANGUP: EndClass.SUCCESS,
    EndReason.CALLER_CANCELLED: EndClass.CLIENT_ERROR,
    EndReason.APPLICATION_REJECTED: EndClass.POLICY,
    EndReason.CALLBACK_ERROR: EndClass.UPSTREAM_ERROR,
    EndReason.INVALID_BXML: EndClass.UPSTREAM_ERROR,
    EndReason.APPLICATION_ERROR: EndClass.UPSTREAM_ERROR,
    EndReason.TARGET_REFUSED: EndClass.UPSTREAM_ERROR,
    EndReason.NO_CALLFLOW: EndClass.SERVER_ERROR,
    EndReason.NO_MEDIA_RELAY: EndClass.SERVER_ERROR,
    EndReason.NODE_CAPACITY: EndClass.SERVER_ERROR,
    EndReason.NODE_LOST: EndClass.SERVER_ERROR,
    EndReason.INTERNAL_ERROR: EndClass.SERVER_ERROR,
    EndReason.UNSUPPORTED_MEDIA: EndClass.CLIENT_ERROR,
    EndReason.ACK_TIMEOUT: EndClass.NETWORK,
    EndReason.MEDIA_TIMEOUT: EndClass.NETWORK,
    EndReason.CALLER_UNREACHABLE: EndClass.NETWORK,
}

_CAUSES = {
    EndReason.CALLER_HANGUP: "hangup",
    EndReason.APPLICATION_HANGUP: "hangup",
    EndReason.CALLER_CANCELLED: "cancel",
    EndReason.APPLICATION_REJECTED: "rejected",
    EndReason.CALLBACK_ERROR: "callback-error",
    EndReason.INVALID_BXML: "invalid-bxml",
    EndReason.APPLICATION_ERROR: "application-error",
    EndReason.TARGET_REFUSED: "rejected",
    EndReason.NO_CALLFLOW: "node-capacity-exceeded",
    EndReason.NO_MEDIA_RELAY: "node-capacity-exceeded",
    EndReason.NODE_CAPACITY: "node-capacity-exceeded",
    EndReason.NODE_LOST: "error",
    EndReason.INTERNAL_ERROR: "error",
    EndReason.UNSUPPORTED_MEDIA: "error",
    EndReason.ACK_TIMEOUT: "error",
    EndReason.MEDIA_TIMEOUT: "error",
    EndReason.CALLER_UNREACHABLE: "error",
}
