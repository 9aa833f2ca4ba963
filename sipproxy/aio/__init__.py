"""The sockets and the clock around the proxy core."""
