"""Our proxy, relay and records beside Kamailio, rtpengine and its accounting: the same calls, turn by turn, in one run."""
