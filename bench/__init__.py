"""Measurements: each prints one JSON object as its last line, and its committed output lies in `bench/results`."""
