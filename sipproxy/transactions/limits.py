"""How much a peer may make a transaction layer remember."""

MAX_TRANSACTIONS = 20_000  # in one layer, client and server together
MAX_EVENTS = 100_000  # events that wait for the user: a user that never reads them must not cost the memory
