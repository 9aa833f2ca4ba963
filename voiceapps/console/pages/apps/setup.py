"""What a customer needs to know to call an application: addresses, names in the DNS, ports, and texts for their programs."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings

from voiceapps.choices import SecureMedia
from voiceapps.models import VoiceApplication
from voiceapps.rules.diagnosis.snippets import Reached, Snippet, snippets


@dataclass(frozen=True, slots=True)
class Transport:
    """One way to the proxy."""

    name: str
    port: int
    record: str
    """The SRV record that names the proxies."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """Everything, as it is shown."""

    reached: Reached
    transports: tuple[Transport, ...]
    rtp: str
    media_address: str
    texts: tuple[Snippet, ...]
    lacks_tls: bool
    """Whether the application asks for what this installation does not offer."""


def sheet(row: VoiceApplication, password: str = "") -> Sheet | None:
    """Return the sheet of an application, with its password where that is known; None while it takes no calls."""
    if row.sip_user is None:
        return None
    must_encrypt = row.secure_media == SecureMedia.REQUIRED
    reached = Reached(
        user=row.sip_user,
        domain=settings.SIP_DOMAIN,
        port=settings.SIP_TLS_BIND[1] if must_encrypt else settings.SIP_BIND[1],
        transport="tls" if must_encrypt else "udp",
        application_id=str(row.pk),
        realm=settings.SIP_REALM,
        account_id=row.account_id,
        api=settings.PUBLIC_URL,
        has_password=row.password_auth_enabled,
        password=password,
    )
    return Sheet(
        reached=reached,
        transports=_transports(must_encrypt),
        rtp="{}-{}".format(*settings.RTP_PORTS),
        media_address=settings.MEDIA_EXTERNAL[1],
        texts=snippets(reached),
        lacks_tls=must_encrypt and not settings.SIP_TLS_CERT,
    )


def _transports(must_encrypt: bool) -> tuple[Transport, ...]:
    plain, domain = settings.SIP_BIND[1], settings.SIP_DOMAIN
    open_ones = (Transport("UDP", plain, f"_sip._udp.{domain}"), Transport("TCP", plain, f"_sip._tcp.{domain}"))
    secure = (Transport("TLS", settings.SIP_TLS_BIND[1], f"_sips._tcp.{domain}"),) if settings.SIP_TLS_CERT else ()
    return secure if must_encrypt else (*open_ones, *secure)
