"""The call flow's configuration, and what it knows of an application."""

from __future__ import annotations

from dataclasses import dataclass, field

from callflow.bxml import Webhook
from daemonkit.address import Address
from sipproxy.mac import Keys


@dataclass(frozen=True, slots=True)
class CallflowConfig:
    """One daemon's settings; times are in seconds."""

    name: str
    """Node name, unique in the fleet."""
    bind: Address
    """Where the proxy reaches our SIP endpoint."""
    media_address: str
    """Address on which calls' audio is received."""
    public_url: str
    """Base of `callUrl` in webhooks, without a final slash."""
    recordings_dir: str
    prompts_dir: str
    """Cache of synthesised prompts."""
    invite_keys: Keys = field(repr=False)
    """Open the seals of the proxies' INVITEs; the same in the whole fleet."""
    spool_dir: str
    """Where sounds lie that are too long for memory, in files without names."""
    natural_voices: bool = False
    """Whether piper speaks where it is installed."""
    recognition: bool = False
    """Whether speech is recognised where that is installed."""
    session_expires: int = 1800
    max_calls: int = 500


@dataclass(frozen=True, slots=True)
class Application:
    """What a call needs to know of its Voice Application."""

    initiated: Webhook
    """The `initiate` webhook, with its fallback."""
    timeout_seconds: float
    """How long each webhook of the call may take to answer."""
    media_timeout: float
    """Seconds without a sign of life, after which the caller is asked and then given up."""
    keepalive: float
    """Seconds between questions to a caller behind NAT or on a stream; 0 asks none."""
    mask_digits: bool = False
    """Whether the records of its calls show no digits."""
