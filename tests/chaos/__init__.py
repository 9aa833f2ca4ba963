"""Calls while roles, links and services fail: `make chaos` prints what each fault cost, and fails where it cost too much."""
