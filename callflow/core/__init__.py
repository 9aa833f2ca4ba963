"""Decide what happens in a call; pure: bytes, times and commands in, effects out."""
