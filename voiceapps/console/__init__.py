"""The console: Django admin in Unfold's dress; reads anything, writes through services."""
