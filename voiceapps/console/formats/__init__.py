"""How the theme's own templates write times; FORMAT_MODULE_PATH names this package."""
