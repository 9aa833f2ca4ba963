"""Turn the environment into Django's settings; docs/configuration.md says what each variable means."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from uuid import UUID

from django.templatetags.static import static
from kombu import Queue

from sipuri_project import environment as e
from sipuri_project import folder_queue
from sipuri_project.start.private_files import UMASK, close_directory
from sipuri_project.start.safety import refuse_unsafe
from voiceapps.api.access import token_keys
from voiceapps.console.navigation import account_links, navigation

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(e.text("SIPURI_VAR_DIR", str(BASE_DIR / "var")))
os.umask(UMASK)
CLOSED = [close_directory("SIPURI_VAR_DIR", VAR_DIR, create=True)]

SIPURI_ENV = e.choice("SIPURI_ENV", "development", ("development", "production"))
PRODUCTION = SIPURI_ENV == "production"
DEBUG = False

# Keys
SECRET_KEY = e.key("SIPURI_SECRET_KEY", VAR_DIR, generate=not PRODUCTION)
SIPURI_FIELD_KEYS = tuple(e.key("SIPURI_FIELD_KEYS", VAR_DIR, generate=not PRODUCTION, make=e.fernet_key).split(","))
SIPURI_NONCE_KEY = e.key("SIPURI_NONCE_KEY", VAR_DIR, generate=not PRODUCTION).encode()
ROUTE_KEYS = tuple(word.strip().encode() for word in e.key("SIPURI_ROUTE_KEY", VAR_DIR, generate=not PRODUCTION).split(","))
SIPURI_WEBHOOK_KEY = e.key("SIPURI_WEBHOOK_KEY", VAR_DIR, generate=not PRODUCTION).encode()
SIPURI_TOKEN_KEYS = e.key("SIPURI_TOKEN_KEYS", VAR_DIR, generate=not PRODUCTION, make=token_keys.new_set)

# Services: none needed (D15)
REDIS_URL = e.text("SIPURI_REDIS_URL")
DATABASES = {"default": e.database("SIPURI_DATABASE_URL", f"sqlite:///{VAR_DIR / 'sipuri.sqlite3'}")}
DATABASE_DIRECT_URL = e.postgres_url("SIPURI_DATABASE_DIRECT_URL", e.text("SIPURI_DATABASE_URL"))
# A server that vanished, or a link that was cut, is noticed in seconds: TCP alone would wait for a quarter of an hour.
POSTGRES_LIVENESS = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    DATABASES["default"]["OPTIONS"] = {"application_name": e.program(), **POSTGRES_LIVENESS, **DATABASES["default"].get("OPTIONS", {})}
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": {"serializer": "sipuri_project.cache_values.JsonValues"},
    }
    if REDIS_URL
    # The default of 300 entries would forget counted failures while an attack goes on.
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 10_000}}
}

# HTTP
HTTP_BIND = e.address("SIPURI_HTTP_BIND", "127.0.0.1:8000")
PUBLIC_URL = e.text("SIPURI_PUBLIC_URL", f"http://{HTTP_BIND[0]}:{HTTP_BIND[1]}").rstrip("/")
ALLOWED_HOSTS = list(e.words("SIPURI_ALLOWED_HOSTS") or (PUBLIC_URL.split("://")[1].split(":")[0], "127.0.0.1", "localhost"))
HTTP_PROXIES = e.networks("SIPURI_HTTP_PROXIES")
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PUBLIC_URL.startswith("https://")
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
CSRF_FAILURE_VIEW = "sipuri_project.web.fallback.csrf_failure"
DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024
APPEND_SLASH = False
ROOT_URLCONF = "sipuri_project.urls"
WSGI_APPLICATION = "sipuri_project.wsgi.application"

# SIP
SIP_DOMAIN = e.text("SIPURI_SIP_DOMAIN", "sip-uri.localhost").lower()
SIP_REALM = e.text("SIPURI_SIP_REALM", SIP_DOMAIN)
SIP_ALIASES = tuple(alias.lower() for alias in e.words("SIPURI_SIP_ALIASES"))
SIP_URI_USER = e.choice("SIPURI_URI_USER", "generated", ("generated", "application-id"))
SIP_BIND = e.address("SIPURI_SIP_BIND", "0.0.0.0:6160")
SIP_TLS_BIND = e.address("SIPURI_SIP_TLS_BIND", "0.0.0.0:5061")
SIP_TLS_CERT = e.text("SIPURI_SIP_TLS_CERT")
SIP_TLS_KEY = e.text("SIPURI_SIP_TLS_KEY")
SIP_TLS_CLIENT_CA = e.text("SIPURI_SIP_TLS_CLIENT_CA")
SIP_WORKERS = e.whole("SIPURI_SIP_WORKERS", 1, least=1, most=64)
SIP_DSCP = e.whole("SIPURI_SIP_DSCP", 24, most=63)
DIGEST_ALLOW_NO_QOP = e.boolean("SIPURI_DIGEST_ALLOW_NO_QOP", False)
SIP_PUBLIC_ADDRESS = e.text("SIPURI_SIP_PUBLIC_ADDRESS")
SIP_INTERNAL_BIND = e.address("SIPURI_SIP_INTERNAL_BIND", "127.0.0.1:6162")
RECORD_ROUTE = e.choice("SIPURI_RECORD_ROUTE", "address", ("address", "domain"))
CALLFLOW_BIND = e.address("SIPURI_CALLFLOW_BIND", "127.0.0.1:6161")
CALLFLOW_TARGETS = e.addresses("SIPURI_CALLFLOW_TARGETS", prefix="sip:")
GUARD_TRUSTED = e.networks("SIPURI_GUARD_TRUSTED")
DROP_FOREIGN_HOSTS = e.boolean("SIPURI_DROP_FOREIGN_HOSTS", False)
GUARD_KERNEL = e.choice("SIPURI_GUARD_KERNEL", "auto", ("auto", "off"))
GEOIP_DB = e.text("SIPURI_GEOIP_DB")
HEP_COLLECTOR = e.endpoint("SIPURI_HEP")
HEP_ID = e.whole("SIPURI_HEP_ID", 2001, most=2**32 - 1)
HEP_KEY = e.text("SIPURI_HEP_KEY")
MESSAGE_STORE_DAYS = e.whole("SIPURI_MESSAGE_STORE_DAYS", 7, most=365)
REFUSAL_STORE_DAYS = e.whole("SIPURI_REFUSAL_STORE_DAYS", 30, least=1, most=365)
FIGURE_STORE_DAYS = e.whole("SIPURI_FIGURE_STORE_DAYS", 90, least=2, most=3650)
REGION_OVERRIDES = e.region_overrides("SIPURI_REGION_OVERRIDES")
DNS_BIND = e.address("SIPURI_DNS_BIND", "127.0.0.1:10053")

# Media
MEDIA_RELAYS = e.weighted_addresses("SIPURI_MEDIA_RELAYS", "udp:127.0.0.1:22222", prefix="udp:")
NG_BIND = e.address("SIPURI_NG_BIND", "127.0.0.1:22222")
NG_ALLOW = e.networks("SIPURI_NG_ALLOW")
MEDIA_EXTERNAL = e.interface("SIPURI_MEDIA_EXTERNAL", "127.0.0.1")
MEDIA_INTERNAL = e.interface("SIPURI_MEDIA_INTERNAL", "127.0.0.1")
RTP_PORTS = e.port_range("SIPURI_RTP_PORTS", "30000-40000")
RTP_INTERNAL_PORTS = e.port_range("SIPURI_RTP_INTERNAL_PORTS", "40002-60000")
MEDIA_PLANE = e.choice("SIPURI_MEDIA_PLANE", "auto", ("auto", "kernel", "userspace"))
MEDIA_DIRECT = e.boolean("SIPURI_MEDIA_DIRECT", True)
MEDIA_REALTIME = e.boolean("SIPURI_MEDIA_REALTIME", True)
MEDIA_WORKERS = e.whole("SIPURI_MEDIA_WORKERS", 1, least=1, most=16)
MEDIA_DSCP = e.whole("SIPURI_MEDIA_DSCP", 46, most=63)
MEDIA_MARK_BASE = e.mark_base("SIPURI_MEDIA_MARK_BASE", "0x51000000")
MEDIA_ALLOW_PRIVATE = e.boolean("SIPURI_MEDIA_ALLOW_PRIVATE", False)

# Metrics
METRICS_HOST = e.host("SIPURI_METRICS_HOST", "127.0.0.1")
METRICS_TOKEN = e.text("SIPURI_METRICS_TOKEN")

# Webhooks and recordings
WEBHOOK_ALLOW_PRIVATE = e.boolean("SIPURI_WEBHOOK_ALLOW_PRIVATE", False)
RECORDINGS_DIR = Path(e.text("SIPURI_RECORDINGS_DIR", str(VAR_DIR / "recordings")))
CLOSED.append(close_directory("SIPURI_RECORDINGS_DIR", RECORDINGS_DIR, create=False))
PROMPTS_DIR = VAR_DIR / "prompts"
EXPORTS_DIR = VAR_DIR / "exports"
SPEECH = e.choice("SIPURI_SPEECH", "auto", ("auto", "espeak"))
RECOGNITION = e.choice("SIPURI_RECOGNITION", "auto", ("auto", "off"))
JOURNAL_DIR = VAR_DIR / "journals"
NODE_NAME = e.text("SIPURI_NODE_NAME", socket.gethostname())

# The control plane knows nothing of the call flow and of the root; these name what judges documents, what runs them, as a call would,
# what places calls, what writes recordings down, and what examines the installation.
DOCUMENT_CHECK = "callflow.bxml.lint.check"
CALL_SIMULATION = "sipuri_project.supplied.simulations.simulate"
CALL_PLACING = "sipuri_project.supplied.placed_calls.place"
TRANSCRIPTION = "sipuri_project.supplied.transcriptions.transcribe"
EXAMINATION = "sipuri_project.doctor.examine"

INSTALLED_APPS = [
    "unfold",
    # urls.py discovers the console: daemons, which show none, start in little more than half the time.
    "django.contrib.admin.apps.SimpleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "oauth2_provider",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "voiceapps",
    "sipuri_project",
]
MIDDLEWARE = [
    "sipuri_project.web.request_id.RequestIdMiddleware",
    "sipuri_project.web.client_address.ClientAddressMiddleware",
    "sipuri_project.web.page_headers.PageHeadersMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "sipuri_project.web.body_middleware.BodyMiddleware",
    "voiceapps.console.refusing.RefusingMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "voiceapps.console.access.sessions.OperatorSessionMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "voiceapps.console.zones.ZoneMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
STATIC_URL = "/static/"
# The web role gathers them there when it starts; each name holds a digest of its content, so that browsers keep them for ever.
STATIC_ROOT = VAR_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
WHITENOISE_KEEP_ONLY_HASHED_FILES = True
FILE_UPLOAD_PERMISSIONS = None  # Those that the umask leaves, as all files in SIPURI_VAR_DIR; Django's default lets everybody read.
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
FORMAT_MODULE_PATH = "voiceapps.console.formats"

# Operators
AUTHENTICATION_BACKENDS = ["voiceapps.console.access.backend.OperatorBackend"]
CONSOLE_TOTP_REQUIRED = e.choice("SIPURI_CONSOLE_TOTP", "auto", ("auto", "required", "optional")) in (
    ("auto", "required") if PRODUCTION else ("required",)
)
CONSOLE_IDLE_MINUTES = e.whole("SIPURI_CONSOLE_IDLE_MINUTES", 30, least=1, most=12 * 60)
SESSION_COOKIE_AGE = 12 * 3600  # from the login on, however much it is used
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}", "OPTIONS": options}
    for name, options in (
        ("UserAttributeSimilarityValidator", {}),
        ("MinimumLengthValidator", {"min_length": 12}),
        ("CommonPasswordValidator", {}),
        ("NumericPasswordValidator", {}),
    )
]

# Customers
OAUTH2_PROVIDER_APPLICATION_MODEL = "voiceapps.ApiClient"
OAUTH2_PROVIDER = {
    "SCOPES_BACKEND_CLASS": "voiceapps.api.access.scopes.ClientScopes",
    "OAUTH2_VALIDATOR_CLASS": "voiceapps.api.access.clients.ClientValidator",
    "OAUTH2_SERVER_CLASS": "oauthlib.oauth2.BackendApplicationServer",  # client credentials and nothing else
    "ACCESS_TOKEN_GENERATOR": "voiceapps.api.access.tokens.make_token",
    "ACCESS_TOKEN_EXPIRE_SECONDS": 3600,
    "COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": True,  # Rows know a token only by its checksum.
}
API_RATE = e.whole("SIPURI_API_RATE", 1200)
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    "voiceapps.hashers.ClientSecretHasher",
]
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["voiceapps.api.access.authentication.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["voiceapps.api.access.permissions.TokenHolder"],
    "DEFAULT_THROTTLE_CLASSES": ["voiceapps.api.access.throttles.ClientRate"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["voiceapps.api.wire.body.BoundedJson"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "voiceapps.api.wire.body.AnyAccept",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "voiceapps.api.wire.errors.answer_error",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "sipuri",
    "DESCRIPTION": "Voice Application Management: give a voice application a SIP URI and decide who may call it.",
    "VERSION": "2",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "OAS_VERSION": "3.1.0",
    "OAUTH2_FLOWS": ["clientCredentials"],
    "OAUTH2_TOKEN_URL": "/api/v1/oauth2/token",
    "APPEND_COMPONENTS": {"securitySchemes": {"clientSecret": {"type": "http", "scheme": "basic"}}},
    "ENUM_NAME_OVERRIDES": {
        "CallbackMethod": "voiceapps.choices.CallbackMethod",
        "DeliveryState": "voiceapps.choices.DeliveryState",
        "SimulationState": "voiceapps.choices.TrialState",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "voiceapps.api.openapi.camel_case_paths",
    ],
    "PATH_CONVERTER_OVERRIDES": {"id": UUID},
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": [],
    "SERVE_AUTHENTICATION": [],
}

# Celery
CELERY_BROKER_URL = REDIS_URL or f"{folder_queue.SCHEME}://localhost//"
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR_DIR / "celery-beat")
CELERY_BEAT_MAX_LOOP_INTERVAL = 1
CELERY_BEAT_SCHEDULER = "sipuri_project.schedule:SteadyScheduler"
CELERY_BEAT_SCHEDULE = {
    "send-webhooks": {"task": "voiceapps.tasks.send_webhooks", "schedule": 5.0},
    "sweep-calls": {"task": "voiceapps.tasks.sweep_calls", "schedule": 10.0},
    "sweep-recordings": {"task": "voiceapps.tasks.sweep_recordings", "schedule": 60.0},
    "sweep-orders": {"task": "voiceapps.tasks.sweep_orders", "schedule": 60.0},
    "sweep-tokens": {"task": "voiceapps.tasks.sweep_tokens", "schedule": 600.0},
    "sweep-sessions": {"task": "voiceapps.tasks.sweep_sessions", "schedule": 3600.0},
    "sweep-messages": {"task": "voiceapps.tasks.sweep_messages", "schedule": 3600.0},
    "sweep-refusals": {"task": "voiceapps.tasks.sweep_refusals", "schedule": 600.0},
    "roll-up": {"task": "voiceapps.tasks.roll_up", "schedule": 5.0},
    "sweep-figures": {"task": "voiceapps.tasks.sweep_figures", "schedule": 3600.0},
    "sweep-answers": {"task": "voiceapps.tasks.sweep_idempotent_answers", "schedule": 3600.0},
    "shorten-waits": {"task": "voiceapps.tasks.shorten_waits", "schedule": 60.0},
    "run-simulations": {"task": "voiceapps.tasks.run_simulations", "schedule": 10.0},
    "sweep-simulations": {"task": "voiceapps.tasks.sweep_simulations", "schedule": 60.0},
    "run-placed-calls": {"task": "voiceapps.tasks.run_placed_calls", "schedule": 10.0},
    "sweep-placed-calls": {"task": "voiceapps.tasks.sweep_placed_calls", "schedule": 60.0},
    "run-exports": {"task": "voiceapps.tasks.run_exports", "schedule": 10.0},
    "sweep-exports": {"task": "voiceapps.tasks.sweep_exports", "schedule": 600.0},
    "run-transcriptions": {"task": "voiceapps.tasks.run_transcriptions", "schedule": 10.0},
    "sweep-transcriptions": {"task": "voiceapps.tasks.sweep_transcriptions", "schedule": 60.0},
    "sweep-failing-hosts": {"task": "voiceapps.tasks.sweep_failing_hosts", "schedule": 3600.0},
    "beat": {"task": "voiceapps.tasks.beat", "schedule": 5.0},
    "beat-webhooks": {"task": "voiceapps.tasks.beat_webhooks", "schedule": 5.0},
}
# Two queues, so that webhooks and what keeps the house never wait for each other; a worker without `-Q` serves both.
CELERY_TASK_QUEUES = (Queue("housekeeping", routing_key="housekeeping"), Queue("webhooks", routing_key="webhooks"))
CELERY_TASK_DEFAULT_QUEUE = "housekeeping"
CELERY_TASK_ROUTES = {f"voiceapps.tasks.{name}": {"queue": "webhooks"} for name in ("send_webhooks", "beat_webhooks")}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
if not REDIS_URL:
    QUEUE_DIR = VAR_DIR / "queue"
    QUEUE_DIR.mkdir(exist_ok=True)
    # Remote control would poll two more queues.
    CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(QUEUE_DIR),
        "data_folder_out": str(QUEUE_DIR),
        "control_folder": str(QUEUE_DIR / "control"),
        "polling_interval": 0.05,
    }

LOGGING_CONFIG = "sipuri_project.logging.configure"
LOGGING = {
    "json": e.boolean("SIPURI_LOG_JSON", PRODUCTION),
    "level": e.choice("SIPURI_LOG_LEVEL", "info", ("debug", "info", "warning", "error")),
}

UNFOLD = {
    "SITE_TITLE": "sipuri",
    "SITE_HEADER": "sipuri",
    "SITE_SUBHEADER": SIP_DOMAIN,
    "SITE_SYMBOL": "call",
    "STYLES": [lambda _request: static("voiceapps/console.css")],
    "SHOW_HISTORY": False,
    "ACCOUNT": {"navigation": account_links},
    "SIDEBAR": {"show_search": True, "navigation": navigation},
}

refuse_unsafe(globals())
