"""The module in which Django's admin looks for pages; it imports the console."""

from voiceapps.console import accounts, calls, people, recordings, simulations

__all__ = ["accounts", "calls", "people", "recordings", "simulations"]
