"""What the pages of the console show, read from the database: frozen values come out, never ORM objects."""
