"""The rule for a webhook's credentials: each request has one pair, beside the URL or in it."""

from __future__ import annotations

from collections.abc import Mapping

from voiceapps.rules.http.target import Target, as_http

URL_FIELDS = {
    "initiated_url": ("callInitiatedCallbackUrl", "callback_username"),
    "status_url": ("callStatusCallbackUrl", "callback_username"),
    "initiated_fallback_url": ("callInitiatedFallbackUrl", "fallback_username"),
}
"""The columns with URLs, each with its name on the wire and the column of the user name that goes with it."""
CREDENTIALS = {"callback_username": "callbackCreds", "fallback_username": "callInitiatedFallbackCreds"}


def twice_given(settings: Mapping[str, str]) -> dict[str, str]:
    """Return one sentence for each column whose URL carries credentials that the settings give another time."""
    twice: dict[str, str] = {}
    for column, (wire, username) in URL_FIELDS.items():
        if settings[username] and has_credentials(settings[column]):
            twice[column] = f"Credentials are given twice, in {wire} and by {CREDENTIALS[username]}. Give them once."
    return twice


def has_credentials(url: str) -> bool:
    """Return whether a URL carries a user name or a password; of the relative ones, `//…` has a place for them."""
    try:
        target = Target.parse(f"http:{url}" if url.startswith("//") else as_http(url))
    except ValueError:
        return False
    return bool(target.username or target.password)
