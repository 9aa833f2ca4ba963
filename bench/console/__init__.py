"""How fast the console's pages are where the tables are large."""
