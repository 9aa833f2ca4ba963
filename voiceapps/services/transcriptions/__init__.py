"""Recordings that are written down: what is ordered, and what workers make of it."""
