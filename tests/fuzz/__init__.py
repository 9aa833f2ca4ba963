"""Hostile inputs by the million for everything that reads what strangers send; `python -m tests.fuzz --help`."""
