"""Measurements: each prints one JSON object as its last line; committed outputs are in `bench/results`."""
