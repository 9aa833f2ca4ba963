"""Commands: `runcallflow` and `call`."""
