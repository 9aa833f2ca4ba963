"""How much a peer may make the SIP cores remember, and how long."""

MAX_TRANSACTIONS = 20_000  # in one layer, client and server together
MAX_EVENTS = 100_000  # events that wait for their reader: a reader that never comes must not cost the memory
MAX_LOOKUPS = 2_000  # INVITEs that wait for the directory: strangers can fill no more than this
MAX_CALLS = 10_000  # calls between admission and BYE
MAX_SOURCES = 50_000  # source addresses with a rate limit of their own
MAX_RATED = 20_000  # applications, and accounts, whose new calls are counted
MAX_NONCES = 100_000  # nonces with a claimed count, each for NONCE_SECONDS
MAX_FAILED_CALLS = 20_000  # Call-IDs whose failed digest is already counted
MAX_BANS = 10_000  # sources that are kept out at one time
MAX_WAITING_STRANGERS = 256  # datagrams that wait to be read: some tenths of a second of work
MAX_WAITING_KNOWN = 2_000  # those of sources that had a call admitted a short while ago
MAX_PAST_BANS = 20_000  # sources whose next ban lasts longer
MAX_RELAY_WAITS = 20_000  # messages that wait for a relay
MAX_REWRITTEN = 8  # rewritten session descriptions that one exchange keeps
MAX_OVER = 20_000  # calls that ended a moment ago
MAX_TURNS = 32  # messages of one call that wait for an earlier one at the relay

REQUESTS_PER_SECOND = 100.0  # unauthenticated requests from one source
REQUEST_BURST = 300.0
FAILURES_PER_SECOND = 0.2  # failed digests from one source; a quarter of an hour of typing errors fits in the burst
FAILURE_BURST = 60.0
BAN_SCORE = 50.0  # wrong passwords that are too many: fewer than the failures that are answered, so that a guesser reaches it
SCORE_FORGIVEN_PER_SECOND = 0.05  # who errs less often than every 20 s is never banned
FIRST_BAN_SECONDS = 600.0
LAST_BAN_SECONDS = 86_400.0  # each ban is twice as long as the one before, up to this
BANS_FORGOTTEN_SECONDS = 86_400.0  # after the end of a ban, when the next one is short again
FLOOD_PER_SECOND = 100.0  # refused requests from one source: it sends twice what it may
FLOOD_BURST = 1_000.0  # a PBX that starts anew asks for everything at once, and once more
FLOOD_BAN_SECONDS = 30.0  # short, as the source may be forged
RECENT_CALL_SECONDS = 600.0  # for so long after an admitted call no flood bans its source
UNSEEN_BAN_SECONDS = 30.0  # so long a ban of our own may be on its way to the database

LOOKUP_SECONDS = 5.0  # a directory that is silent for so long is unavailable
FAILOVER_SECONDS = 1.0  # a call-flow node that says nothing for so long is passed over
REST_SECONDS = 10.0  # how long it then comes after the others
RING_SECONDS = 181.0  # timer C (RFC 3261 16.6 step 11)
NONCE_SECONDS = 60.0
RETRY_AFTER_SECONDS = 5  # what a 503 asks for
SETTLED_SECONDS = 60.0  # from this age on a call is looked up in the database: it may have ended without a BYE that passed here
CALL_SECONDS = 3_660.0  # a call without any message for so long is gone: session timers speak twice as often

MAX_CONNECTIONS = 4_000  # of one stream listener in one process
MAX_CONNECTIONS_PER_SOURCE = 50
MAX_CONNECTING = 200  # connections that we open ourselves and that are not there yet
MAX_UNSENT_MESSAGES = 64  # for one of these
MAX_WRITE_BUFFER = 1_048_576  # bytes that a peer may leave unread before its connection goes
MESSAGE_SECONDS = 10.0  # how long one message, or a TLS handshake, may take to arrive in full
IDLE_SECONDS = 300.0  # how long a connection may be silent: keep-alives in a dialog come every 25 s
CONNECT_SECONDS = 5.0
