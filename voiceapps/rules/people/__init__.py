"""Who may do what in the console, and how logins are guarded."""
