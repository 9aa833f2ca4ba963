"""Why calls were refused, in words: what it means, what the failed rule saw and expected, what to do, and a text for the customer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from voiceapps.rules.admission import Reason


@dataclass(frozen=True, slots=True)
class Explanation:
    """What one reason means."""

    title: str
    cause: str
    """What it usually comes from."""
    remedy: str
    """What the operator does."""
    for_customer: str
    """What the customer does, in a sentence for them; empty if they can do nothing."""


EXPLANATIONS: Mapping[Reason, Explanation] = {
    Reason.FOREIGN_HOST: Explanation(
        "It named a host that is not ours",
        "The request names another domain: scanners do, and trunks with a wrong domain.",
        "A scanner, or a PBX with a wrong host in its URI. If the name is yours, add it to SIPURI_SIP_ALIASES.",
        "Use the SIP URI exactly as we gave it to you, host included.",
    ),
    Reason.RATE_LIMITED: Explanation(
        "Its source sent too much",
        "The source sends more than the limit of every source allows.",
        "If it is a customer's PBX or a proxy of your own, trust its network (Security); if not, leave it, or ban it.",
        "Your system sends more requests a second than we take from one address. Please slow down, or tell us the rate that you need.",
    ),
    Reason.USER_MISMATCH: Explanation(
        "Request-URI and To name different applications",
        "Request-URI and To name different applications.",
        "A proxy on the way rewrites one of the two. The caller has to send the same user in both.",
        "Send the same user in the Request-URI and in the To header.",
    ),
    Reason.UNKNOWN_APPLICATION: Explanation(
        "Nobody has the SIP URI that was called",
        "The user part names none: an old URI, a typing error, or a guess.",
        "The URI is mistyped, or an old one: disabling and enabling an application makes a new URI.",
        "Please check the SIP URI that you call: this one is not in use.",
    ),
    Reason.DISABLED: Explanation(
        "The application takes no SIP calls",
        "The application exists, and its SIP URI is not enabled.",
        "Enable inbound SIP on the application's page.",
        "Inbound SIP is switched off for this application.",
    ),
    Reason.IP_NOT_ALLOWED: Explanation(
        "The source address is not on the list",
        "The caller's address is in none of the application's ranges.",
        "If the address is the customer's, allow it. If all sources look alike, see whether something rewrites them (Health).",
        "Your call came from an address that is not on the list of this application. Add it, or call from one that is.",
    ),
    Reason.REGION_NOT_ALLOWED: Explanation(
        "The country of the source address is not allowed",
        "The address belongs to a country that the application does not admit.",
        "Add the region to the application, or correct the country of that network (SIPURI_REGION_OVERRIDES).",
        "Your call came from a country from which this application takes no calls.",
    ),
    Reason.DIGEST_USER_MISMATCH: Explanation(
        "It authenticated as another application",
        "The credentials name another application than the URI does.",
        "The authentication user has to be the id of the application that is called, or the user of its URI.",
        "Set the authentication user to the id of this application.",
    ),
    Reason.DIGEST_WRONG: Explanation(
        "Wrong password",
        "Often an old password after a rotation; from many sources, somebody guesses.",
        "If it is the customer, the password is old, mistyped, or of another realm: rotate it, and hand out the new one. If not, ban it.",
        "The password does not fit. Check authentication user, password and realm; we can make a new password, and the old one then ends.",
    ),
    Reason.CAPACITY: Explanation(
        "The limit of calls was reached",
        "The application or its account has as many calls as it may have.",
        "Raise the limit of the application or the account, or see who places so many calls.",
        "You have reached the number of calls that your account may have at once, or begin in a second.",
    ),
    Reason.DATABASE_UNAVAILABLE: Explanation(
        "The database was away",
        "The proxy could not look the application up.",
        "See Health: calls are refused until the database is back.",
        "We had a fault. Please try again.",
    ),
}


@dataclass(frozen=True, slots=True)
class Refused:
    """Like attempts: of one application, for one reason, from one source."""

    reason: Reason
    status: int
    count: int
    source_ip: str
    """Empty where many sources are meant."""
    uri: str
    """The SIP URI of the application, empty if it has none."""
    first: str
    last: str
    """Times, as people read them."""
    seen: str
    expected: str


def failed(trace: Sequence[Mapping[str, str]]) -> tuple[str, str]:
    """Return what the first rule that failed saw, and what it expected."""
    rule = next((result for result in trace if result["verdict"] == "failed"), {})
    return rule.get("seen", ""), rule.get("expected", "")


def text_for_customer(refused: Refused) -> str:
    """Return a text that an operator can send as it is: what happened, when, what we saw, and what to do."""
    times = "once" if refused.count == 1 else f"{refused.count} times"
    where = f" from {refused.source_ip}" if refused.source_ip else ""
    lines = [
        f"Calls to {refused.uri or 'your application'}{where} were refused {times} with {refused.status}, "
        f"first at {refused.first}, last at {refused.last}.",
        f"Reason: {EXPLANATIONS[refused.reason].title[0].lower()}{EXPLANATIONS[refused.reason].title[1:]}.",
    ]
    if refused.seen:
        lines.append(f"We saw: {refused.seen}.")
    if refused.reason is Reason.IP_NOT_ALLOWED and refused.expected:
        lines.append(f"The list has: {refused.expected}.")
    return "\n".join((*lines, EXPLANATIONS[refused.reason].for_customer))
