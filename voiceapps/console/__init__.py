"""The console: Django admin with the Unfold theme. It reads any table and writes through services."""
