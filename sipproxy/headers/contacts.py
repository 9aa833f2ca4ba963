"""The Contacts that each side sees, and what they carry for us.

Outside, the call flow's Contact is the SIP URI that was called, with the route token as a parameter: a client that ignores
Record-Route sends its requests there, and the token comes back in the Request-URI. Where the target is a static one, the route
behind it stands beside the token, as in our Record-Route entry.

Inside, the caller's Contact is its own; after it has moved, its flow is a parameter of it (flow.py).
"""

from __future__ import annotations

from sipproxy.config import SipProxyConfig
from sipproxy.headers.flow import FLOW_PARAMETER
from sipproxy.headers.record_route import INNER_PARAMETER, InnerRoute
from sipproxy.sip import Message, NameAddr, PeerError, Request
from sipproxy.sip.grammar import split_values
from sipproxy.sip.methods import Use, methods_for
from sipproxy.sip.uri import put_param, take_param

TOKEN_PARAMETER = "sipuri"  # noqa: S105  # the name of one
REFRESHES = methods_for(Use.TARGET)
"""The methods whose Contact is where the other side sends its next requests."""


def contact_uri(message: Message) -> str:
    """Return the Contact's URI, "" where there is none that can be read."""
    try:
        contact = message.contact
    except PeerError:
        return ""
    return contact.uri if contact is not None else ""


def show_flow(message: Message, signed: str) -> None:
    """Write a caller's flow into its Contact, on the way inside; nothing else of the Contact changes."""
    text = message.header("contact")
    if text is None or not signed:
        return
    try:
        contact = NameAddr.parse(split_values(text)[0])
        _ = contact.sip_uri
    except PeerError:
        # What is no SIP URI is no target: requests follow the route token, as they did before.
        return
    moved = NameAddr(contact.display, put_param(contact.uri, FLOW_PARAMETER, signed), contact.params)
    message.replace_top_value("Contact", str(moved))


def take_flow(request: Request) -> str:
    """Take the caller's flow out of a Request-URI that comes from inside, and return its text, "" where it has none."""
    uri, signed = take_param(request.uri_text, FLOW_PARAMETER)
    if signed:
        request.set_uri(uri)
    return signed


def show_called(message: Message, called: str, token: str, sealed: str) -> None:
    """Replace a Contact from inside by the called URI with our token, on the way outside."""
    if not message.count("contact"):
        return
    uri = put_param(without_token(called), TOKEN_PARAMETER, token)
    if sealed:
        uri = put_param(uri, INNER_PARAMETER, sealed)
    message.replace("Contact", f"<{uri}>")


def token_of(request: Request) -> str:
    """Return the token in a Request-URI from outside, "" where it has none."""
    return take_param(request.uri_text, TOKEN_PARAMETER)[1]


def without_token(uri: str) -> str:
    """Return the URI that was called, without what we wrote into it; any other URI as it is."""
    if f";{TOKEN_PARAMETER}=" not in uri:
        return uri
    return take_param(take_param(uri, TOKEN_PARAMETER)[0], INNER_PARAMETER)[0]


def inner_route(request: Request, config: SipProxyConfig) -> InnerRoute | None:
    """Return the route behind a static target for a request of the caller, None where it brings none.

    The Contact is the newer one: the target may have changed it since its first answer. The routes never change.
    """
    if not config.callflow_targets:
        return None
    route = request.top_route
    in_route = (route.param(INNER_PARAMETER) if route is not None else "") or ""
    in_uri = take_param(request.uri_text, INNER_PARAMETER)[1]
    seal = config.seal(request.call_id, request.from_.tag)
    first = InnerRoute.parse(in_route, seal) if in_route else None
    if in_uri == in_route:
        return first
    latest = InnerRoute.parse(in_uri, seal) if in_uri else None
    if first is None or latest is None:
        return first or latest
    return InnerRoute(latest.target or first.target, first.routes)
