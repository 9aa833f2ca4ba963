"""What joins the call flow to the database, by selectors and services only."""
