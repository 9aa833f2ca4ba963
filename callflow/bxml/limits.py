"""Limits of one document; the figures are Bandwidth's unless a comment says otherwise."""

MAX_DOCUMENT_BYTES = 64 * 1024
# Ours: root, Gather, SpeakSentence and 13 nested SSML tags are more than anyone writes.
MAX_DEPTH = 16
# Ours: a document of so many verbs holds up the node's other calls for 5 to 7 ms, less than half of a packet's time.
MAX_ELEMENTS = 500
MAX_TAG_LENGTH = 256
MAX_URL_LENGTH = 2048
# Ours: as long as any other URL.
MAX_SIP_URI_LENGTH = 2048
MAX_CREDENTIAL_LENGTH = 1024
MAX_RECORDING_NAME_LENGTH = 256
MAX_GATHER_VERBS = 20
MAX_GATHER_PROMPTS = 20
MAX_GATHER_DIGITS = 50
MAX_TERMINATING_DIGITS = 16
# Ours: a grammar of more phrases, or of longer ones, is a text that is better heard without one.
MAX_GATHER_HINTS = 100
MAX_GATHER_HINT_LENGTH = 100
# Ours: as long as names of languages get (RFC 5646 section 4.4.1).
MAX_LANGUAGE_LENGTH = 35
MAX_SPEECH_TIMEOUT_SECONDS = 60.0
MAX_PAUSE_SECONDS = 86_400.0
# Ours: longer than any voice or locale is called.
MAX_VOICE_NAME_LENGTH = 64
MAX_SENT_DIGITS = 50
MAX_STREAM_PARAMS = 12
MAX_STREAM_PARAM_NAME_LENGTH = 256
MAX_STREAM_PARAM_LENGTH = 2048
# Ours: as long as the name of a parameter.
MAX_STREAM_NAME_LENGTH = 256
MIN_TONE_MS, MAX_TONE_MS = 50.0, 5_000.0
MAX_RECORD_SECONDS = 10_800.0
MAX_DIGIT_TIMEOUT_SECONDS = 60.0
MAX_BREAK_SECONDS = 10.0
# Ours: a check reports no more faults than an author can mend in one go.
MAX_FAULTS = 50
