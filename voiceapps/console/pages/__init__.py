"""The console's task pages, one module each: server-rendered views in the theme's shell."""
