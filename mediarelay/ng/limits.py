"""Bounds on what a client can make the control side hold."""

MAX_TEXT = 512
"""Characters of a call id or tag."""
MAX_COOKIE = 128
"""Octets of the cookie before a command."""
MAX_REPLIES = 8_192
"""Replies remembered for repeated commands."""
MAX_REPLY_OCTETS = 1 << 25
"""Octets of these replies."""
REPLY_SECONDS = 10.0
"""How long a reply is remembered; a client gives up earlier."""
MAX_SDP = 32_768
"""Octets of a session description: a rewritten one must still fit a reply."""
MAX_LISTED_CALLS = 1_000
"""Call ids in one answer to `list`."""
MAX_LISTED_OCTETS = 60_000
"""Octets of those ids: more would not fit a datagram."""
MAX_MEDIA_SOURCES = 64
"""Networks to which media of one call is sent without proof."""
MAX_KNOWN_SOURCES = 1_024
"""Addresses remembered as allowed; others are compared with the ranges each time."""
