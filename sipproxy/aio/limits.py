"""How much a peer may make sockets and connections hold, and how long."""

MAX_WAITING_STRANGERS = 256  # datagrams of strangers that wait to be handled: some tenths of a second of work
MAX_WAITING_KNOWN = 2_000  # datagrams of sources that had a call admitted a short while ago
MAX_CONNECTIONS = 4_000  # of one stream listener in one process
MAX_CONNECTIONS_PER_SOURCE = 50
MAX_STRANGERS_PER_NETWORK = 200  # connections from one /24 along which no call was admitted
MAX_CONNECTING = 200  # connections that we are opening
MAX_UNSENT_MESSAGES = 64  # for one of these
MAX_WRITE_BUFFER = 1_048_576  # bytes that a peer may leave unread before its connection is closed
MESSAGE_SECONDS = 10.0  # how long one message, or a TLS handshake, may take to arrive in full
IDLE_SECONDS = 300.0  # how long a connection may be silent: keep-alives in a dialog come every 25 s
CONNECT_SECONDS = 5.0
MAX_CLAIMS_ASKED = 2_000  # claims of nonces that wait for another worker, or for Redis
