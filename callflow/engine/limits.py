"""Limits of one call."""

MAX_DOCUMENTS = 500
"""Documents that one call may run faster than at `DOCUMENTS_PER_SECOND`."""
DOCUMENTS_PER_SECOND = 20.0
"""Documents that one call may run for ever: `Pause` and `Redirect` hold a caller, a `Redirect` that points at itself is faster."""
MAX_ERROR_MESSAGE = 500
"""Characters of an error sentence in the database and in webhooks."""
