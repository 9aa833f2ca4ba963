"""Requests inside a dialog as the other side gets them, and the way that they go."""

from __future__ import annotations

from dataclasses import dataclass

from daemonkit.address import Address
from sipproxy.config import SipProxyConfig
from sipproxy.headers import contacts, edits
from sipproxy.headers.call_headers import REACH_HEADER
from sipproxy.headers.flow import Flow, MovedFlow
from sipproxy.headers.record_route import InnerRoute, RouteToken
from sipproxy.sip import Request


@dataclass(frozen=True, slots=True)
class Turned:
    """A request that is ready for the other side, but for our Via."""

    out: Request
    """What is sent."""
    flow: Flow
    """How the caller is reached now."""
    signed_flow: str = ""
    """What the Contact that the call flow holds carries of it."""
    proxy: Address | None = None
    """The proxy that has the flow, where it need not be this one."""
    inner: InnerRoute | None = None
    """The route behind a static target, for a request of the caller."""


def turn_inside(request: Request, token: RouteToken, came_by: Flow, config: SipProxyConfig, *, is_here: bool) -> Turned:
    """Turn a request of the caller inside; a target refresh tells how the caller is reached from now on.

    `is_here` says that this proxy has had the call from its first INVITE on: then a caller that comes as it did then has not moved.
    """
    out = request.copy()
    edits.count_hop(out)
    inner = contacts.inner_route(request, config)
    out.remove_if(("proxy-authorization", "route").__contains__)
    out.set_uri(contacts.without_token(out.uri_text))
    if inner is not None:
        edits.follow_inner_route(out, inner)
    if request.method in contacts.REFRESHES:
        if not config.has_static_targets:
            out.append(REACH_HEADER, came_by.reach)
        if came_by != token.flow or not is_here:
            moved = MovedFlow(came_by, config.internal.address)
            contacts.show_flow(out, moved.sign(config.seal(request.call_id, request.from_.tag)))
    return Turned(out, came_by, inner=inner)


def turn_outside(request: Request, token: RouteToken, signed: str, config: SipProxyConfig) -> Turned:
    """Turn a request of the call flow outside; the flow in its Request-URI overrides the one in the token."""
    out = request.copy()
    edits.count_hop(out)
    edits.pop_own_route(out)
    edits.strip_private(out)
    out.remove_if(("via", "record-route").__contains__)
    text = contacts.take_flow(out)
    moved = MovedFlow.parse(text, config.seal(request.call_id, request.to.tag)) if text else None
    if request.count("contact"):
        _show_contact(out, signed, config)
    if moved is None:
        return Turned(out, token.flow)
    return Turned(out, moved.flow, text, moved.proxy)


def _show_contact(out: Request, signed: str, config: SipProxyConfig) -> None:
    own = contacts.contact_uri(out)
    if not config.callflow_targets:
        contacts.show_called(out, own or out.from_.uri, signed, "")
        return
    sealed = InnerRoute(own).sign(config.seal(out.call_id, out.to.tag))
    contacts.show_called(out, out.from_.uri, signed, sealed)
