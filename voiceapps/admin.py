"""Where Django's admin looks for the console."""

from voiceapps.console import accounts, applications, calls, refusals, system, webhooks

__all__ = ["accounts", "applications", "calls", "refusals", "system", "webhooks"]
