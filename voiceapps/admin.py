"""The module in which Django's admin looks for pages; it imports the console."""

from voiceapps.console import accounts, applications, bans, calls, recordings, refusals, simulations, system, webhooks

__all__ = ["accounts", "applications", "bans", "calls", "recordings", "refusals", "simulations", "system", "webhooks"]
