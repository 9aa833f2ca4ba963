"""Where Django's admin looks for the console."""

from voiceapps.console import accounts, applications, bans, calls, refusals, system, webhooks

__all__ = ["accounts", "applications", "bans", "calls", "refusals", "system", "webhooks"]
