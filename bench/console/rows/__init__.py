"""The rows over which the console is measured, made inside the database itself."""
