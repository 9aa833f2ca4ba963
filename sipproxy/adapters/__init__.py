"""The doors to Django: directory, nodes, countries, records."""
