"""Pieces of asyncio that every daemon shares: sockets, lifecycle, metrics page, command options."""
