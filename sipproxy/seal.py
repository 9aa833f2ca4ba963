"""Text that both sides of a dialog carry for us: readable to all, and worth something in that dialog alone.

A seal is a tag over the purpose, the Call-ID and the caller's tag besides the text itself. Who has not the fleet's key can
neither write a text nor change one, nor use it for another purpose or in another dialog.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from sipproxy.mac import Keys, is_tag, make_tag

_TAG_BYTES = 9


@dataclass(frozen=True, slots=True)
class DialogSeal:
    """What seals texts for one dialog, and opens them again."""

    keys: Keys
    """The keys that all proxies of the fleet share; the first one seals."""
    sip_call_id: str
    """The dialog's Call-ID."""
    caller_tag: str
    """The tag of the side that sent the first INVITE."""

    def close(self, purpose: bytes, payload: bytes) -> str:
        """Return octets and their tag as base64url (RFC 4648 section 5), without padding; `purpose` has at most 8 octets."""
        return _encode(payload + make_tag(self.keys[0], purpose, self._sealed(payload), size=_TAG_BYTES))

    def open(self, purpose: bytes, text: str) -> bytes | None:
        """Return the octets that `close` was given for this purpose and dialog. Returns None for any other text."""
        try:
            sealed = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        payload, tag = sealed[:-_TAG_BYTES], sealed[-_TAG_BYTES:]
        # Base64 has several spellings of the same octets, and only ours is taken.
        is_ours = is_tag(tag, self.keys, purpose, self._sealed(payload), size=_TAG_BYTES)
        return payload if is_ours and _encode(sealed) == text else None

    def _sealed(self, payload: bytes) -> bytes:
        # Neither a Call-ID nor a tag has a line end, so no part can pass for the beginning of the next.
        dialog = f"{self.sip_call_id}\n{self.caller_tag}\n".encode("utf-8", "surrogateescape")
        return dialog + payload


def sealed_length(octets: int) -> int:
    """Return how many characters the sealed text of that many octets has."""
    return -(-(octets + _TAG_BYTES) * 4 // 3)


def _encode(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode("ascii").rstrip("=")
