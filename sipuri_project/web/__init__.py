"""The web role's server: a gunicorn worker that reads each request whole, and writes each answer, without holding a thread."""
