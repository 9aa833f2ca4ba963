"""The edits that a message gets on its way through (design section 3, steps 8 and 10)."""

from __future__ import annotations

from ipaddress import IPv4Address

from sipproxy.core.branches import make_branch
from sipproxy.core.config import Address, SipProxyConfig
from sipproxy.core.events import Side
from sipproxy.core.token import RouteToken
from sipproxy.sip import Message, NameAddr, PeerError, Request, Response
from sipproxy.sip.uri import DEFAULT_PORT
from voiceapps.rules.records import CallFacts

CALL_HEADER = "P-Sipuri-Call"
_PRIVATE = "p-sipuri-"
_DEFAULT_HOPS = 70


def strip_foreign(message: Message) -> None:
    """Remove what only insiders may say, from a message that entered from outside (D11)."""
    message.remove_if(_is_foreign)


def _is_foreign(key: str) -> bool:
    return key.startswith(("x-", _PRIVATE))


def strip_private(message: Message) -> None:
    """Remove what no outsider may see, from a message that leaves."""
    message.remove_if(_is_private)


def _is_private(key: str) -> bool:
    # A Warning names the host that wrote it (RFC 3261 20.43).
    return key == "warning" or key.startswith(_PRIVATE)


def prepare_invite(request: Request, facts: CallFacts) -> Request:
    """Return the INVITE as the call flow gets it, but for the hop's own Via and Record-Route."""
    out = request.copy()
    out.remove_if(("proxy-authorization", "route").__contains__)
    count_hop(out)
    country = facts.country or "-"
    out.append(
        CALL_HEADER,
        f"{facts.call_id};app={facts.application_id};account={facts.account_id};"
        f"source={facts.source_ip}:{facts.source_port};country={country};started={facts.started_at:.3f}",
    )
    return out


def count_hop(request: Request) -> None:
    """Decrement Max-Forwards, or start it (RFC 3261 16.6 step 3)."""
    hops = request.max_forwards
    request.replace("Max-Forwards", str(_DEFAULT_HOPS if hops is None else hops - 1))


def push_via(request: Request, local: Address, *, key: bytes, random: str) -> None:
    """Put our Via on top."""
    branch = make_branch(request, key=key, random=random)
    request.prepend("Via", f"SIP/2.0/UDP {local[0]}:{local[1]};branch={branch}")


def push_record_route(invite: Request, token: str, local: Address) -> None:
    """Put our Record-Route entry on top, as the inside sees it."""
    invite.prepend("Record-Route", f"<sip:{token}@{local[0]}:{local[1]};lr>")


def turn_response_outside(response: Response, request: Request, token: str, config: SipProxyConfig) -> None:
    """Hide the inside in a response to the caller: our entry shows its outer face (RFC 5658), Contact the called URI."""
    strip_private(response)
    if response.count("record-route"):
        outer = f"<sip:{token}@{config.record_route_host}:{config.public_address[1]};lr>"
        values = [outer if f"sip:{token}@" in value else value for value in response.values("record-route")]
        response.replace_values("Record-Route", values)
    if response.count("contact"):
        response.replace("Contact", f"<{request.uri_text}>")


def put_vias_back(response: Response, request: Request) -> None:
    """Give a response the Vias that its request came with."""
    response.replace_values("Via", request.headers("via"))


def next_hop_outside(request: Request, token: RouteToken, own: Address) -> Address:
    """Return where a request towards the caller goes (D18).

    The next Route or the Request-URI counts only where it is a public address and the caller is not behind NAT: an address
    within somebody's private network means nothing to us. Else the request takes the way the caller's INVITE came.
    """
    if token.behind_nat:
        return token.caller
    routes = request.values("route")
    try:
        uri = NameAddr.parse(routes[0]).sip_uri if routes else request.uri
        place = IPv4Address(uri.host)
    except (PeerError, ValueError):
        return token.caller
    address = (str(place), uri.port or DEFAULT_PORT)
    return address if place.is_global and not place.is_multicast and address != own else token.caller


def pop_own_route(request: Request) -> None:
    """Remove our own entry, the topmost Route."""
    request.replace_top_value("Route", None)


def route_user(request: Request) -> str:
    """Return the user part of the topmost Route, "" where there is none."""
    routes = request.headers("route")
    if not routes:
        return ""
    try:
        return NameAddr.parse(request.values("route")[0]).sip_uri.user or ""
    except PeerError:
        return ""


def is_behind_nat(request: Request, source: Address) -> bool:
    """Tell whether the request's Via names another address than it came from."""
    via = request.top_via
    return (via.host, via.port or DEFAULT_PORT) != source


def replace_contact(request: Request) -> None:
    """Show the called URI instead of a foreign target's own Contact, in a request that it sends."""
    if request.count("contact"):
        request.replace("Contact", f"<{request.from_.uri}>")


def side_tag(request: Request, side: Side) -> str:
    """Return the caller's tag in a request of either side."""
    return request.from_.tag if side is Side.EXTERNAL else request.to.tag
