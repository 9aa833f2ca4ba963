"""Hold the call flow's commands."""
