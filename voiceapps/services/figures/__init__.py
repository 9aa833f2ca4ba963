"""Figures by the minute: which minutes are to be computed again, and what comes of it."""
