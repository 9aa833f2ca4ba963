"""Sounds that calls play: fetched or spoken, decoded, and kept within bounds."""
