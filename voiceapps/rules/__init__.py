"""Rules that need no database: admission, source ranges, regions, the ends of a call, the reports of daemons."""
