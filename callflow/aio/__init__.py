"""The sockets, files, programs and tasks of the call flow."""
