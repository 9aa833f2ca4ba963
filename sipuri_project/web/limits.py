"""Bounds of what an HTTP client can make the web role hold, in octets and seconds."""

MAX_HEAD = 32 * 1024
"""Of a request line with its fields: gunicorn's own bounds would let a head grow to 800 KB."""
MAX_CHUNK_LINE = 256
"""Of the line before a chunk, and of a field after the last one."""
MAX_TRAILERS = 4 * 1024
MAX_UNREAD = 64 * 1024
"""Of what a client sends ahead while its request is answered; then nothing more is read from it."""
MAX_IN_MEMORY = 64 * 1024
"""Of an answer that waits for its client; what is longer lies in a file."""
FILE_STEP = 256 * 1024
"""Of a file that is sent between two looks at the clock."""

HEAD_SECONDS = 10.0
"""From a request's first octet, or from the connection, to the end of its head."""
BODY_SECONDS = 30.0
"""From the end of the head to the end of the body, whatever arrives meanwhile."""
SEND_SECONDS = 60.0
"""For a client to take one step of an answer."""
LINGER_SECONDS = 2.0
"""For a client to stop sending what we shall not read: closing at once would take our answer away from it (RFC 9112 section 9.6)."""
