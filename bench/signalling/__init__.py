"""Our proxy, relay and records compared with Kamailio, rtpengine and its accounting: the same calls, turn by turn, in one run."""
