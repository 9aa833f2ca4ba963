"""How much strangers may make admission remember, and how often they may ask."""

MAX_SOURCES = 50_000  # source addresses with a rate limit of their own
MAX_RATED = 20_000  # applications, and accounts, whose new calls are counted
MAX_NONCES = 100_000  # nonces with a claimed count, each for NONCE_SECONDS
MAX_FAILED_CALLS = 20_000  # Call-IDs whose failed digest is already counted
MAX_BANS = 10_000  # sources that are banned at one time
MAX_PAST_BANS = 20_000  # sources whose next ban lasts longer
REQUESTS_PER_SECOND = 100.0  # unauthenticated requests from one source
REQUEST_BURST = 300.0
FAILURES_PER_SECOND = 0.2  # failed digests from one source; the burst forgives a quarter of an hour of typing errors
FAILURE_BURST = 60.0
BAN_SCORE = 50.0  # wrong passwords that lead to a ban: fewer than the failures that get a response, so that a guesser reaches it
SCORE_FORGIVEN_PER_SECOND = 0.05  # one failure in 20 s never leads to a ban
FIRST_BAN_SECONDS = 600.0
LAST_BAN_SECONDS = 86_400.0  # each ban is twice as long as the one before, up to this
BANS_FORGOTTEN_SECONDS = 86_400.0  # this long after the end of a ban the next one is short again
FLOOD_PER_SECOND = 100.0  # refused requests from one source: it sends at twice its limit
FLOOD_BURST = 1_000.0  # a PBX that restarts sends everything at once, and retransmits it
FLOOD_BAN_SECONDS = 30.0  # short, as the source may be forged
RECENT_CALL_SECONDS = 600.0  # for so long after an admitted call a flood does not ban its source
UNSEEN_BAN_SECONDS = 30.0  # how long a ban of our own may take to the database
NONCE_SECONDS = 60.0
CLOCK_SKEW_SECONDS = 5.0  # by which the clocks of two nodes may differ
CLAIM_KEPT_SECONDS = NONCE_SECONDS + 3 * CLOCK_SKEW_SECONDS  # in the store of the fleet: longer than any node takes the nonce for fresh
