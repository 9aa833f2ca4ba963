"""All writes: one function for each mutation, which the API, the console, commands and daemons call."""
