"""Limits of one call."""

MAX_DOCUMENTS = 500
"""Documents that one call may run faster than at `DOCUMENTS_PER_SECOND`."""
DOCUMENTS_PER_SECOND = 20.0
"""Documents that one call may run for ever: `Pause` and `Redirect` hold a caller, a `Redirect` that points at itself is faster."""
OCTETS_PER_DOCUMENT = 4096
"""Each time a document reaches this many octets once more, it counts as one more document: the work that it makes grows with its size."""
ELEMENTS_PER_DOCUMENT = 50
"""Each time a document reaches this many elements once more, it counts as one more document: 450 fit into 4 KiB, and take 5 ms to read."""
MAX_BEGUN = 50
"""Recordings and streams that one call may begin faster than at `BEGUN_PER_SECOND`: each is a file or a connection, and a row."""
BEGUN_PER_SECOND = 1.0
MAX_DIGIT_EVENTS = 100
"""Digits that one call may report faster than at `DIGIT_EVENTS_PER_SECOND`; those beyond them are heard, but not reported."""
DIGIT_EVENTS_PER_SECOND = 20.0
MAX_BACKGROUND_RECORDING_SECONDS = 86_400.0
"""How long a recording in the background may be; 16-bit samples of two channels make a wav of 2.8 GB."""
MAX_TRACKS = 4
"""Tracks of all streams of one call, and of all its transcriptions; the figure is Bandwidth's."""
MAX_TRANSCRIPTION = 256 * 1024
"""Characters of one transcription: five hours of talk. What is said after them is not kept."""
MAX_ERROR_MESSAGE = 500
"""Characters of an error sentence in the database and in webhooks."""
MAX_SPEAKING_SECONDS = 60.0
"""How long a verb waits for the end of what sounds like speech, in all until words come."""
MAX_TRANSCRIPT = 4_000
"""Characters that one verb hears: five minutes without a pause; it ends there."""
