"""Join the call flow to the database, through its doors only."""
