"""The proxy's connection to Django and the database: directory, nodes, bans, records."""
