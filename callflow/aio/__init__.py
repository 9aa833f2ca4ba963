"""Give the engine its sockets, files and programs."""
