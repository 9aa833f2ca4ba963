"""Bound what one call, and the calls together, may take."""

MAX_DOCUMENTS = 500
"""Documents one call may run; a Redirect that points at itself ends here."""
MAX_ERROR_MESSAGE = 500
"""Characters of an error sentence that go into rows and webhooks."""
