"""Calls without calls: the engine runs a script against real documents, by a clock of its own; pure."""
