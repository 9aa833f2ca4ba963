"""Hold one file for each verb."""
