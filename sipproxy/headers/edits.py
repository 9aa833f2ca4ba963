"""The edits that a message gets on its way through the proxy (RFC 3261 16.6, 16.7)."""

from __future__ import annotations

from ipaddress import IPv4Address

from daemonkit.address import Address
from sipproxy.config import SipProxyConfig
from sipproxy.headers.contacts import contact_uri, show_called
from sipproxy.headers.flow import Flow
from sipproxy.headers.record_route import INNER_PARAMETER, InnerRoute, looks_like_token
from sipproxy.sip import Message, NameAddr, PeerError, Request, Response, SipUri
from sipproxy.sip.uri import DEFAULT_PORT, SECURE_PORT
from sipproxy.transactions.branches import make_branch
from sipproxy.transactions.listener import Listener, Side, Transport

_PRIVATE = "p-sipuri-"
_DEFAULT_HOPS = 70


def strip_foreign(message: Message) -> None:
    """Remove the headers that only our own nodes may send, from a message that came from outside."""
    message.remove_if(_is_foreign)


def opens_call(message: Message) -> bool:
    """Return whether a message is an INVITE outside a dialog: its headers may be wanted as data, so `prepare_invite` removes them."""
    return isinstance(message, Request) and message.method == "INVITE" and not message.to.tag


def _is_foreign(key: str) -> bool:
    return key.startswith(("x-", _PRIVATE))


def strip_private(message: Message) -> None:
    """Remove the headers that callers must not see, from a message that leaves."""
    message.remove_if(_is_private)


def _is_private(key: str) -> bool:
    # A Warning names the host that wrote it (RFC 3261 20.43).
    return key == "warning" or key.startswith(_PRIVATE)


def prepare_invite(request: Request) -> Request:
    """Return the INVITE of a caller as the inside gets it, without the Via and Record-Route of the hop."""
    out = request.copy()
    strip_foreign(out)
    out.remove_if(("proxy-authorization", "route").__contains__)
    count_hop(out)
    return out


def count_hop(request: Request) -> None:
    """Decrement Max-Forwards, or start it (RFC 3261 16.6 step 3)."""
    hops = request.max_forwards
    request.replace("Max-Forwards", str(_DEFAULT_HOPS if hops is None else hops - 1))


def push_via(request: Request, egress: Listener, *, key: bytes, random: str, worker: int) -> None:
    """Put our Via on top."""
    branch = make_branch(request, key=key, random=random, worker=worker)
    request.prepend("Via", via_text(egress, branch))


def via_text(egress: Listener, branch: str) -> str:
    """Return a Via of ours."""
    host, port = egress.address
    return f"SIP/2.0/{egress.transport.value} {host}:{port};branch={branch}"


def push_record_route(invite: Request, token: str, internal: Listener) -> None:
    """Put our Record-Route entry on top, with our internal address."""
    host, port = internal.address
    invite.prepend("Record-Route", f"<sip:{token}@{host}:{port};lr>")


def turn_response_outside(  # noqa: PLR0913  # what a response shows of us
    response: Response,
    called: str,
    token: str,
    listener: Listener,
    config: SipProxyConfig,
    *,
    recorded: str,
    inner: InnerRoute | None = None,
) -> None:
    """Hide our nodes in a response to the caller: our Record-Route entry gets our outer address (RFC 5658), Contact the called URI.

    The entries above ours belong to a static target and are removed: the route behind it travels in ours. Those below are the
    caller's own. `recorded` is the token that ours has inside, `inner` the route that the request followed.
    """
    strip_private(response)
    values = response.values("record-route")
    if not values and not response.count("contact"):
        return
    sealed = ""
    if config.callflow_targets:
        shown = inner_route(response, recorded) if inner is None else InnerRoute(contact_uri(response), inner.routes)
        sealed = shown.sign(config.seal(response.call_id, response.from_.tag))
    if values:
        # Without our entry it is a response inside a dialog, where Record-Route has no effect (RFC 3261 12.2.1.2).
        ours = _own_entry(values, recorded)
        entry = outer_entry(token, listener, config) + (f";{INNER_PARAMETER}={sealed}" if sealed else "")
        response.replace_values("Record-Route", [f"<{entry}>", *values[ours + 1 :]] if ours >= 0 else [])
    show_called(response, called, token, sealed)


def inner_route(response: Response, token: str) -> InnerRoute:
    """Return the route behind the target that answered: its Contact, and the Record-Route entries above ours (RFC 3261 12.1.2)."""
    values = response.values("record-route")
    above = values[: max(_own_entry(values, token), 0)]
    return InnerRoute(contact_uri(response), tuple(reversed(above)))


def _own_entry(values: list[str], token: str) -> int:
    return next((index for index, value in enumerate(values) if f"sip:{token}@" in value), -1)


def follow_inner_route(request: Request, inner: InnerRoute) -> None:
    """Give a request of the caller the Request-URI and Route of the hops behind a static target."""
    if inner.target:
        request.set_uri(inner.target)
    request.replace_values("Route", list(inner.routes))


def outer_entry(token: str, listener: Listener, config: SipProxyConfig) -> str:
    """Return our Record-Route URI as callers see it."""
    host, port = listener.address
    return f"sip:{token}@{config.record_route_host or host}:{port}{listener.transport.uri_params};lr"


def recorded_token(response: Response) -> str:
    """Return the user part of our Record-Route entry in a response to a request of ours, "" where there is none."""
    for value in response.values("record-route"):
        try:
            user = NameAddr.parse(value).sip_uri.user or ""
        except PeerError:
            continue
        if looks_like_token(user):
            return user
    return ""


def put_vias_back(response: Response, request: Request) -> None:
    """Give a response the Vias that its request came with."""
    response.replace_values("Via", request.headers("via"))


def next_hop_outside(request: Request, flow: Flow, own: frozenset[str]) -> tuple[Transport, Address]:
    """Return where a request towards the caller goes.

    The next Route or the Request-URI counts only if it is a public address and the caller is not behind NAT: we cannot reach
    an address within somebody's private network. Otherwise the request goes back where the caller came from. `own` holds our
    addresses: a peer cannot make us send to ourselves.
    """
    back = flow.transport, flow.caller
    if flow.behind_nat:
        return back
    routes = request.values("route")
    try:
        uri = NameAddr.parse(routes[0]).sip_uri if routes else request.uri
        host = IPv4Address(uri.host)
    except (PeerError, ValueError):
        return back
    if not host.is_global or host.is_multicast or str(host) in own:
        return back
    transport = _transport_of(uri) or flow.transport
    return transport, (str(host), uri.port or (SECURE_PORT if transport is Transport.TLS else DEFAULT_PORT))


def _transport_of(uri: SipUri) -> Transport | None:
    """Return the transport that a URI names (RFC 3261 19.1.1), None where it names none or one that we do not speak."""
    if uri.scheme == "sips":
        return Transport.TLS
    named = (uri.param("transport") or "").upper()
    return Transport(named) if named in Transport.__members__ else None


def loosen_route(request: Request, hosts: frozenset[str]) -> None:
    """Undo what a strict router did (RFC 3261 16.4): it put our Record-Route URI into the Request-URI and the target into the last Route.

    Afterwards the request looks as if a loose router had sent it: nothing else has to handle strict routing.
    """
    routes = request.values("route")
    if not routes:
        return
    try:
        uri = request.uri
        if uri.host_key not in hosts or not looks_like_token(uri.user or ""):
            return
        target = NameAddr.parse(routes[-1]).uri
    except PeerError:
        return
    request.replace_values("Route", [f"<{request.uri_text}>", *routes[:-1]])
    request.set_uri(target)


def pop_own_route(request: Request) -> None:
    """Remove our own entry, the topmost Route."""
    request.replace_top_value("Route", None)


def renew_own_route(request: Request, token: str) -> None:
    """Put a token into our own entry, the topmost Route, if that has another one."""
    old = route_user(request)
    if old != token and looks_like_token(old):
        request.replace_top_value("Route", request.values("route")[0].replace(old, token, 1))


def route_user(request: Request) -> str:
    """Return the user part of the topmost Route, "" where there is none."""
    uri = request.top_route
    return uri.user or "" if uri is not None else ""


def is_behind_nat(request: Request, source: Address, transport: Transport) -> bool:
    """Return whether the request's Via names another address than it came from; over a connection the port is not compared."""
    via = request.top_via
    return via.host != source[0] or (not transport.is_stream and (via.port or DEFAULT_PORT) != source[1])


def side_tag(request: Request, side: Side) -> str:
    """Return the caller's tag in a request of either side."""
    return request.from_.tag if side is Side.EXTERNAL else request.to.tag
