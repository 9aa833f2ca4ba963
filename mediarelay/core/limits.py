"""Bounds on what a peer can make the relay's sessions hold."""

MAX_SESSIONS = 10_000
"""Sessions at once; the ports run out first."""
MAX_STREAMS = 8
"""Streams of one description that are served; each costs one pair of ports on each side."""
MAX_BRANCHES = 16
"""Branches of an INVITE that share one session."""
