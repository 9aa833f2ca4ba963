"""Webhooks on their way: what is due is claimed within limits, and what came of it is stored."""
