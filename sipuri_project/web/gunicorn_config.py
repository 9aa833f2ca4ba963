"""How gunicorn runs the web role, for `runall` and for a process of its own: `gunicorn -c python:sipuri_project.web.gunicorn_config`."""

from sipuri_project.settings import HTTP_BIND

wsgi_app = "sipuri_project.wsgi"
bind = f"{HTTP_BIND[0]}:{HTTP_BIND[1]}"
worker_class = "sipuri_project.web.worker.WholeRequestWorker"
workers = 1
threads = 8
worker_connections = 1000
keepalive = 15
loglevel = "warning"
