"""Who is asking: users with their account, the bounds of sessions, and values that are shown once."""
