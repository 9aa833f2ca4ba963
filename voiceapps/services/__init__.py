"""All writes: one function a mutation, called alike by the API, the console, commands and daemons."""
