"""The pages of applications: the list, and the page of one with its form, its orders and its trials."""
