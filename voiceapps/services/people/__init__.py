"""Operators: who they are, how they prove it, and what failed logins cost."""
