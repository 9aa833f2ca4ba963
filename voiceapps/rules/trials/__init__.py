"""Trials of an application: calls that nobody places, and calls that we place ourselves."""
