"""How much of a caller's headers is carried to the call flow."""

MAX_CARRIED_HEADERS = 32
MAX_CARRIED_NAME = 256  # characters
MAX_CARRIED_VALUE = 2_048  # characters
MAX_CARRIED_TEXT = 8_000  # octets of the header that carries them: a reader takes lines of 8,192
