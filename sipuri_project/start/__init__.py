"""What stands between an entry point and its work: unsafe values, open files, foreign keys."""
