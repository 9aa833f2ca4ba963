"""How large a peer may make a message and its parts."""

MAX_DATAGRAM = 65_535  # the UDP length field
MAX_HEADERS = 256  # header fields in one message
MAX_HEADER_LINE = 8_192  # bytes in one header field, folds included
MAX_START_LINE = 8_192
MAX_VIAS = 70  # the default of Max-Forwards: no regular path is longer
MAX_VALUES = 256  # comma-separated values under one name
MAX_PARAMS = 64  # parameters of one value
MAX_AUTH_FIELD = 1_024  # characters in one field of a credential
MAX_CREDENTIALS = 8  # credentials of one request; each is for another realm
MAX_STREAM_HEAD = 32_768  # bytes of a message on a stream before its body
MAX_PARTS = 16  # of a multipart body, those inside others included
MAX_PART_DEPTH = 3
