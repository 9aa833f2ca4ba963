"""Why a request to a customer's backend failed, in one sentence for its owner.

The texts of aiohttp's errors repeat URLs, which may hold secrets, so none of them is shown.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl

import aiohttp

_NOT_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG")
_CLOSED = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, aiohttp.ClientConnectionResetError)


def sentence(error: Exception) -> str:
    """Return what went wrong and where; of our own errors, their text."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return f"The certificate of {error.host}:{error.port} is not valid: {_rejection(error.certificate_error)}."
        case aiohttp.ClientConnectorError():
            return _cannot_connect(error)
        case aiohttp.InvalidURL():
            return "The URL is not valid."
        case aiohttp.ClientPayloadError():
            return "The connection was closed in the middle of the answer."
        case aiohttp.ClientResponseError():
            return "What came back is not an answer in HTTP."
        case _ if isinstance(error, _CLOSED):
            return "The connection was closed without an answer."
        case aiohttp.ClientError():
            return f"The request failed ({type(error).__name__})."
    return str(error) or type(error).__name__


def _cannot_connect(error: aiohttp.ClientConnectorError) -> str:
    where, reason = f"{error.host}:{error.port}", error.os_error
    if isinstance(error, aiohttp.ClientConnectorDNSError) or isinstance(reason, socket.gaierror):
        return f"The name {error.host} cannot be resolved: {reason.strerror or reason}."
    if isinstance(reason, ssl.SSLError):
        return f"TLS with {where} failed: {_tls_reason(reason)}."
    if isinstance(error, aiohttp.ClientConnectorSSLError) or isinstance(reason, ConnectionResetError) and error.ssl:
        return f"TLS with {where} failed: the connection was closed in the handshake."
    return f"Cannot connect to {where}: {_system_reason(reason)}."


def _rejection(error: Exception) -> str:
    return str(getattr(error, "verify_message", "") or error).rstrip(".")


def _tls_reason(error: ssl.SSLError) -> str:
    reason = error.reason or ""
    if reason in _NOT_TLS:
        return "the port does not speak TLS; plain HTTP perhaps"
    return reason.lower().replace("_", " ") or "the handshake was not finished"


def _system_reason(error: OSError) -> str:
    """Return the system's error text. asyncio adds the address to it; the guard puts its own text into `strerror`."""
    if error.errno is None or error.errno == errno.EACCES:
        return error.strerror or str(error)
    return os.strerror(error.errno)
