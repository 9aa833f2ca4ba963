"""Limits of one call."""

MAX_DOCUMENTS = 500
"""Documents that one call may run; this ends a Redirect that points at itself."""
MAX_ERROR_MESSAGE = 500
"""Characters of an error sentence in the database and in webhooks."""
