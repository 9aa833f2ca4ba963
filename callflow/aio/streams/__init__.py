"""Streams of calls: WebSockets that hear a leg and speak into it."""
