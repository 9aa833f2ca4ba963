"""Write the 2xx to an INVITE or UPDATE of the peer."""

from __future__ import annotations

from callflow.sip.call_context import CAPABILITIES, SDP_TYPE, USER_AGENT
from callflow.sip.dialogs import Dialog
from callflow.sip.session_refresh import SessionRefresh
from sipproxy.sip import Request, Response


def make_success(request: Request, dialog: Dialog | None, refresh: SessionRefresh, body: bytes) -> Response:
    """Return a 2xx with our target, session timer and capabilities, and with our description unless it is empty."""
    response = request.make_response(200)
    if dialog:
        response.append("Contact", f"<{dialog.contact}>")
    for name, value in (*refresh.response_headers(), *CAPABILITIES):
        response.append(name, value)
    response.append("Server", USER_AGENT)
    if body:
        response.set_body(body, SDP_TYPE)
    return response
