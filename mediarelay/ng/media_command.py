"""What `offer`, `answer` and `delete` say, as Kamailio, OpenSIPS and our own proxy write it for rtpengine 10.5.

What we understand and do not serve is named in `ignored`, so that an operator sees it in the metrics. What this relay
always does anyway (`symmetric`, `strict source`, `port latching`, `original sendrecv`, `reject ICE`) counts as served.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from typing import Self

from mediarelay.core.addresses import Side
from mediarelay.ng.control import Command, fold
from mediarelay.ng.limits import MAX_MEDIA_SOURCES, MAX_SDP
from mediarelay.sdp.rtcp_mux import RtcpMux

MAX_DELETE_DELAY = 3600
"""Seconds for which a delayed `delete` may keep a session."""
MAX_IGNORED = 16
"""Names in `ignored` of one command."""
OTHER = "other"
"""Stands in `ignored` for every name that rtpengine does not know either."""

_NAT_FLAG = "sipuri-learn-nat"
"""Allows rank 4 of D8; set if the application says `mediaLearning: "nat"`."""
_FATAL = "fatal"
_SIP_SOURCE, _TRUST = "sip-source-address", "trust-address"

_MEDIA_SOURCES = "sipuri-media-sources"
"""Lists the networks, besides the source of the SIP messages, to which media is sent without proof."""

_SERVED_KEYS = frozenset((
    b"address-family", b"call-id", b"command", b"direction", b"flags", b"from-label", b"from-tag", b"label", b"media-address",
    b"received-from", b"replace", b"rtcp-mux", b"sdp", b"supports", _MEDIA_SOURCES.encode(), b"to-tag", b"via-branch",
))  # fmt: skip
_SERVED_FLAGS = frozenset((
    _NAT_FLAG, _SIP_SOURCE, _TRUST, "original-sendrecv", "port-latching", "reject-ice", "replace-origin", "replace-session-connection",
    "replace-zero-address", "strict-source", "symmetric", *(f"rtcp-mux-{wish}" for wish in RtcpMux),
))  # fmt: skip
_FAMILIES = ("codec-", "endpoint-learning-", "from-tags-", "osrtp-", "sdes-", "t.38-", "t38-", "transcode-")
"""Prefixes of flags that stand for a value in the list of that name."""
NOT_SERVED = frozenset((
    "all", "allow-transcoding", "always-transcode", "asymmetric", "asymmetric-codecs", "audio-player", "code", "debug", "debugging",
    "delay-buffer", "delete-delay", "detect-dtmf", "digit", "directional", "discard-recording", "drop-traffic", "dtls",
    "dtls-fingerprint", "dtls-reverse", "dtmf-delay", "dtmf-log-dest", "dtmf-security", "dtmf-security-trigger",
    "dtmf-security-trigger-end", "early-media", "egress", "exclude-recording", "fatal", "fragment", "frequencies", "frequency",
    "full-rtcp-attribute", "generate-mid", "generate-rtcp", "ice", "ice-lite", "inactive", "inject-dtmf", "interface", "loop-protect",
    "media-echo", "media-handover", "metadata", "mirror-rtcp", "nat-wait", "no-codec-renegotiation", "no-jitter-buffer",
    "no-passthrough", "no-port-latching", "no-redis-update", "no-rtcp-attribute", "output-destination", "pad-crypto", "passthrough",
    "pierce-nat", "ptime", "ptime-reverse", "record-call", "reorder-codecs", "repacketize", "replace-force-increment-sdp-ver",
    "replace-sdp-version", "replace-session-name", "replace-username", "reset", "reuse-codecs", "rtcp-mirror",
    "rtpp-flags", "set-label", "single-codec", "siprec", "strip-extmap", "symmetric-codecs", "to-label", "tos", "transport-protocol",
    "trickle-ice", "trigger", "trigger-end", "trigger-end-digits", "trigger-end-time", "unidirectional", "volume", "xmlrpc-callback",
    *(family[:-1] for family in _FAMILIES),
))  # fmt: skip
"""Keys and flags of rtpengine that change nothing here; a closed set, fit for the label of a metric."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaCommand:
    """An `offer` or an `answer`."""

    call_id: str
    from_tag: str
    to_tag: str | None = None
    via_branch: str | None = None
    sdp: bytes
    direction: tuple[Side, Side] | None = None
    received_from: str | None = None
    """The IPv4 address that the SIP message came from."""
    label: str | None = None
    media_address: str | None = None
    """The IPv4 address to write into the description in place of the relay's own."""
    sip_source: bool = False
    """Whether media is expected from `received_from`, at the ports of the description."""
    origin: bool = False
    """Whether the origin line's address is replaced, too."""
    zero_address: bool = False
    """Whether 0.0.0.0 is replaced, too."""
    rtcp_mux: frozenset[RtcpMux] = frozenset()
    learn_nat: bool = False
    media_sources: tuple[IPv4Network, ...] = ()
    """The networks to which media is sent without proof."""
    ignored: tuple[str, ...] = ()
    """Members of `NOT_SERVED` and perhaps `OTHER`, each once."""

    @classmethod
    def parse(cls, command: Command) -> Self:
        """Return the fields of an offer or answer; raises ValueError with a sentence."""
        flags = _flags(command)
        ice = command.text("ice")
        _check_family(command)
        trust = [flag for flag in flags if flag in (_SIP_SOURCE, _TRUST)]
        return cls(
            call_id=command.require("call-id"),
            from_tag=command.require("from-tag"),
            to_tag=command.text("to-tag"),
            via_branch=command.text("via-branch"),
            sdp=_parse_sdp(command),
            direction=_parse_direction(command.texts("direction")),
            received_from=_parse_source(command.texts("received-from")),
            label=command.text("label") or command.text("from-label"),
            media_address=_parse_address("media-address", command.text("media-address")),
            sip_source=trust[-1:] == [_SIP_SOURCE],
            origin="replace-origin" in flags,
            zero_address="replace-zero-address" in flags,
            rtcp_mux=frozenset(wish for wish in RtcpMux if f"rtcp-mux-{wish}" in flags),
            learn_nat=_NAT_FLAG in flags,
            media_sources=_parse_networks(command.texts(_MEDIA_SOURCES)),
            ignored=_ignored(command, flags, _SERVED_KEYS if ice not in (None, "remove") else _SERVED_KEYS | {b"ice"}),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteCommand:
    """A `delete`."""

    call_id: str
    from_tag: str | None = None
    to_tag: str | None = None
    via_branch: str | None = None
    delay: int = 0
    """Seconds until the session is deleted."""
    fatal: bool = False
    """Whether it is an error, not a warning, that there is no such session."""
    ignored: tuple[str, ...] = ()
    """Members of `NOT_SERVED` and perhaps `OTHER`, each once."""

    @classmethod
    def parse(cls, command: Command) -> Self:
        """Return the fields of a delete; raises ValueError with a sentence."""
        delay = command.number("delete-delay", 0)
        if not 0 <= delay <= MAX_DELETE_DELAY:
            raise ValueError(f"The delete-delay is not within 0-{MAX_DELETE_DELAY} seconds.")
        flags = _flags(command)
        return cls(
            call_id=command.require("call-id"),
            from_tag=command.text("from-tag"),
            to_tag=command.text("to-tag"),
            via_branch=command.text("via-branch"),
            delay=delay,
            fatal=_FATAL in flags,
            ignored=_ignored(command, (flag for flag in flags if flag != _FATAL), _SERVED_KEYS | {b"delete-delay"}),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawCommand:
    """A `sipuri-withdraw`: an offer was refused. rtpengine has no word for it."""

    call_id: str
    from_tag: str
    """The offerer's."""
    via_branch: str | None = None

    @classmethod
    def parse(cls, command: Command) -> Self:
        """Return the fields of a withdrawal; raises ValueError with a sentence."""
        return cls(call_id=command.require("call-id"), from_tag=command.require("from-tag"), via_branch=command.text("via-branch"))


def _check_family(command: Command) -> None:
    if command.text("address-family") not in (None, "IP4"):
        raise ValueError("The address-family must be IP4; IPv6 is not supported.")


def _flags(command: Command) -> tuple[str, ...]:
    """Return all flags in one spelling; those from a list of their own are prefixed with its name."""
    lists = (("flags", ""), ("replace", "replace-"), ("rtcp-mux", "rtcp-mux-"))
    return tuple(fold((prefix + text).encode()).decode() for key, prefix in lists for text in command.texts(key))


def _ignored(command: Command, flags: Iterable[str], served: frozenset[bytes]) -> tuple[str, ...]:
    keys = (key.decode("latin-1") for key in command.fields if key not in served)
    names = dict.fromkeys(map(_known_name, (*keys, *(flag for flag in flags if flag not in _SERVED_FLAGS))))
    return tuple(names)[:MAX_IGNORED]


def _known_name(name: str) -> str:
    """Return the member of the closed set that stands for a key or flag."""
    if name in NOT_SERVED:
        return name
    return next((family[:-1] for family in _FAMILIES if name.startswith(family)), OTHER)


def _parse_address(key: str, text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return str(IPv4Address(text))
    except AddressValueError:
        raise ValueError(f"The {key} must be an IPv4 address.") from None


def _parse_direction(names: tuple[str, ...]) -> tuple[Side, Side] | None:
    if not names:
        return None
    try:
        first, second = (Side(name) for name in names)
    except ValueError:
        raise ValueError("The direction must name two of the interfaces external and internal.") from None
    return first, second


def _parse_networks(texts: tuple[str, ...]) -> tuple[IPv4Network, ...]:
    """Return the networks of a list; the whole Internet is none, because it would prove nothing."""
    if len(texts) > MAX_MEDIA_SOURCES:
        raise ValueError(f"The {_MEDIA_SOURCES} has too many networks.")
    return tuple(network for network in map(_parse_network, texts) if network.prefixlen)


@lru_cache(maxsize=1024)
def _parse_network(text: str) -> IPv4Network:
    try:
        return IPv4Network(text)
    except ValueError:
        raise ValueError(f"The {_MEDIA_SOURCES} must be IPv4 networks.") from None


def _parse_sdp(command: Command) -> bytes:
    sdp = command.octets("sdp")
    if len(sdp) > MAX_SDP:
        raise ValueError("The sdp is too long.")
    return sdp


def _parse_source(words: tuple[str, ...]) -> str | None:
    """Return the address of a `received-from`; None if it is of another family, which Kamailio may call `?`."""
    if not words:
        return None
    if len(words) != 2:
        raise ValueError("The received-from must hold a family and an address.")
    return _parse_address("received-from", words[1]) if words[0] == "IP4" else None
