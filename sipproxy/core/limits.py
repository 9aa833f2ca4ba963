"""How much a peer may make the proxy remember, and how long."""

MAX_EVENTS = 100_000  # events that wait for the shell: a shell that never reads them must not cost the memory
MAX_LOOKUPS = 2_000  # INVITEs that wait for the directory, or for a claim: strangers can fill the tables no further
MAX_CALLS = 10_000  # calls between admission and BYE
MAX_RELAY_WAITS = 20_000  # messages that wait for a relay
MAX_AGREEMENTS = 10_000  # calls whose last offer and answer are kept: some kilobytes each
MAX_OPEN_OFFERS = 4  # of one call
MAX_MEDIA_SOURCES = 64  # ranges that a relay is told of
MAX_REWRITTEN = 8  # rewritten session descriptions that one context keeps
MAX_OVER = 20_000  # calls that ended less than 64*T1 ago
MAX_OWED = 10_000  # refused calls whose record a node may write yet
MAX_TURNS = 32  # messages of one call that wait for an earlier one at the relay

CLAIM_SECONDS = 1.0  # a claim without an answer for so long is not granted
LOOKUP_SECONDS = 5.0  # a directory that is silent for so long is unavailable
FAILOVER_SECONDS = 1.0  # a call-flow node that does not answer for so long is passed over
REST_SECONDS = 10.0  # how long it is then chosen last
OWED_SECONDS = 30.0  # how long a node that refused a call has for its record
TIMER_C_SECONDS = 181.0  # timer C (RFC 3261 16.6 step 11)
RETRY_AFTER_SECONDS = 5  # the Retry-After of a 503
SETTLED_SECONDS = 60.0  # from this age on a call is looked up in the database: it may have ended without a BYE that passed here
CALL_SECONDS = 3_660.0  # a call without any message for so long has ended: session timers refresh twice as often
