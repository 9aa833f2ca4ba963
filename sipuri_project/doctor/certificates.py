"""Whether the certificate of SIP over TLS is one that callers accept, and for how long."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from django.conf import settings

from voiceapps.rules.diagnosis.findings import Finding, bad, doubtful, good

SUBJECT = "Certificate"
SOON_DAYS = 21


def examine() -> Iterator[Finding]:
    """Yield what is found of the certificate and its key."""
    if not settings.SIP_TLS_CERT:
        yield good(SUBJECT, "SIP over TLS is off: SIPURI_SIP_TLS_CERT is empty.")
        return
    chain, key = Path(settings.SIP_TLS_CERT), Path(settings.SIP_TLS_KEY or settings.SIP_TLS_CERT)
    try:
        yield from judge(chain.read_bytes(), key.read_bytes(), settings.SIP_DOMAIN, datetime.now(UTC))
    except (OSError, ValueError, TypeError) as error:
        yield bad(SUBJECT, f"Certificate or key cannot be read: {error}", "Correct SIPURI_SIP_TLS_CERT and SIPURI_SIP_TLS_KEY.")


def judge(chain: bytes, key: bytes, domain: str, now: datetime) -> Iterator[Finding]:
    """Yield what is found of a chain and a key in PEM; raises ValueError or TypeError for what is neither."""
    certificate = x509.load_pem_x509_certificates(chain)[0]
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if certificate.public_key().public_bytes(*form) != load_pem_private_key(key, None).public_key().public_bytes(*form):
        yield bad(SUBJECT, "The key is not that of the certificate.", "Put both from one order in place.")
    if not _names(certificate, domain):
        yield doubtful(
            SUBJECT, f"The certificate does not name {domain}.", "Callers that check it refuse the connection: order one for the domain."
        )
    days = (certificate.not_valid_after_utc - now).days
    until = f"{certificate.not_valid_after_utc:%Y-%m-%d}"
    if days < 0:
        yield bad(SUBJECT, f"The certificate has ended on {until}.", "Renew it: the proxy reads the files again when they change.")
    elif days < SOON_DAYS:
        yield doubtful(
            SUBJECT, f"The certificate ends on {until}, in {days} days.", "Renew it, and see why that does not happen by itself."
        )
    else:
        yield good(SUBJECT, f"The certificate holds until {until}, {days} days.")


def _names(certificate: x509.Certificate, domain: str) -> bool:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        return False
    parent = domain.partition(".")[2]
    return any(name.lower() in (domain, f"*.{parent}") for name in names)
