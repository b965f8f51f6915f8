"""Every setting of Viaduct, in banner sections, its value read from the environment.

A value is named once here and once in `.env.example` and the README's table; a test compares the three. Secrets have
no default outside DEBUG: a process without them stops at start and names the variable.
"""

from pathlib import Path
from typing import Any

import environ
from csp.constants import NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE
from django.core.exceptions import ImproperlyConfigured
from django.templatetags.static import static

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
env.read_env(env.str("ENV_FILE", default=str(BASE_DIR / ".env")))


def secret(name: str, *, in_debug: str) -> str:
    """The value of a secret; outside DEBUG it must be set, and its name is the whole error message."""
    value = env.str(name, default=in_debug if DEBUG else "")
    if not value:
        raise ImproperlyConfigured(f"{name} is not set. Put it into the environment or into .env (see .env.example).")
    return value


# ── Core ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = secret("SECRET_KEY", in_debug="debug-only-" + "s" * 50)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
PUBLIC_URL = env.str("PUBLIC_URL", default="http://localhost:8000").rstrip("/")

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "config.apps.ShellConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_q",
    "axes",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "csp",
    "connections",
    "events",
    "webhooks_log",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "events.short_way.ShortWay",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "connections.zones.MerchantZone",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
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

# ── Database: SQLite in WAL mode by default, PostgreSQL by DATABASE_URL ──────────────────────────────────────────────
DATABASE = env.db_url("DATABASE_URL", default=f"sqlite:///{BASE_DIR / 'viaduct.sqlite3'}")
IS_SQLITE = "sqlite" in str(DATABASE["ENGINE"])
DATABASE["CONN_MAX_AGE"] = None  # a new PostgreSQL connection costs 6 ms, seven times a whole ingest request
DATABASE["CONN_HEALTH_CHECKS"] = not IS_SQLITE
if IS_SQLITE:
    DATABASE["ENGINE"] = "connections.sqlite"  # Django's own, with a line for those who want to write
    DATABASE["OPTIONS"] = {
        # IMMEDIATE: a transaction that reads and then writes would otherwise fail at once when another one writes.
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        # synchronous=FULL: an answer of 202 promises that the event survives a power cut.
        "init_command": (
            "PRAGMA page_size=8192; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
            "PRAGMA secure_delete=ON;"  # what was emptied is overwritten, whatever SQLite was built with
            "PRAGMA cache_size=-20000; PRAGMA mmap_size=134217728;"
            # The clock writes the log back into the file; whoever commits does it only where no clock runs.
            "PRAGMA wal_autocheckpoint=8000;"
        ),
    }
DATABASES: dict[str, Any] = {"default": DATABASE}

# ── Secrets at rest ──────────────────────────────────────────────────────────────────────────────────────────────────
FIELD_KEYS = [
    key.strip()
    for key in secret("FIELD_KEYS", in_debug="ZGVidWctb25seS1kZWJ1Zy1vbmx5LWRlYnVnLW9ubHk=").split(",")
    if key.strip()
]  # newest first
FINGERPRINT_KEY = secret("FINGERPRINT_KEY", in_debug="debug-only-" + "f" * 50)  # never rotates

# ── Klaviyo ──────────────────────────────────────────────────────────────────────────────────────────────────────────
KLAVIYO_BASE_URL = env.str("KLAVIYO_BASE_URL", default="https://a.klaviyo.com").rstrip("/")
KLAVIYO_REVISION = env.str("KLAVIYO_REVISION", default="2026-10-15")
KLAVIYO_CONNECT_SECONDS = env.float("KLAVIYO_CONNECT_SECONDS", default=5.0)
KLAVIYO_TOTAL_SECONDS = env.float("KLAVIYO_TOTAL_SECONDS", default=20.0)

# ── Lanes ────────────────────────────────────────────────────────────────────────────────────────────────────────────
LANE_THREADS = env.int("LANE_THREADS", default=64)
LANE_BLOCK = env.int("LANE_BLOCK", default=100)
LANE_LEASE_SECONDS = env.float("LANE_LEASE_SECONDS", default=30.0)
LANE_SLICE_SECONDS = env.float("LANE_SLICE_SECONDS", default=2.0)
LANE_BULK_ABOVE = env.int("LANE_BULK_ABOVE", default=5000)
LANE_ORDER_PATIENCE_SECONDS = env.float("LANE_ORDER_PATIENCE_SECONDS", default=3600.0)
BUDGET_ENABLED = env.bool("BUDGET_ENABLED", default=True)
RETRY_LADDER_SECONDS = [
    int(step)
    for step in env.list("RETRY_LADDER_SECONDS", default=[20, 60, 300, 1200, 3600, 14400, 28800, 43200, 86400, 86400])
]
BACKFILL_AFTER_HOURS = env.float("BACKFILL_AFTER_HOURS", default=24.0)

# ── Dispatch ─────────────────────────────────────────────────────────────────────────────────────────────────────────
DISPATCH_BATCH = env.int("DISPATCH_BATCH", default=200)
DISPATCH_LEASE_SECONDS = env.float("DISPATCH_LEASE_SECONDS", default=30.0)
CUSTOMER_WAIT_HOURS = env.float("CUSTOMER_WAIT_HOURS", default=72.0)
PROFILE_WAIT_SECONDS = env.float("PROFILE_WAIT_SECONDS", default=5.0)
TEST_LINK_DAYS = env.float("TEST_LINK_DAYS", default=7.0)

# ── The door ─────────────────────────────────────────────────────────────────────────────────────────────────────────
INGEST_MAX_BYTES = env.int("INGEST_MAX_BYTES", default=5_000_000)
INGEST_MAX_EVENTS = env.int("INGEST_MAX_EVENTS", default=1000)
INGEST_RATE_PER_MINUTE = env.int("INGEST_RATE_PER_MINUTE", default=0)  # per key; 0 = no limit
DATA_UPLOAD_MAX_MEMORY_SIZE = INGEST_MAX_BYTES
FILE_UPLOAD_HANDLERS = [
    "connections.uploads.BoundedUpload",
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "django.core.files.uploadhandler.TemporaryFileUploadHandler",
]

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Viaduct ingest API",
    "DESCRIPTION": "Vrio posts what happens in a shop; every answer says what was stored and what became of it.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "POSTPROCESSING_HOOKS": ["events.openapi.finish"],
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

# ── Queue: bells only, never the record of work ──────────────────────────────────────────────────────────────────────
REDIS_URL = env.str("REDIS_URL", default="")
Q_WORKERS = env.int("Q_WORKERS", default=2)
Q_TIMEOUT_SECONDS = env.int("Q_TIMEOUT_SECONDS", default=120)
Q_CLUSTER: dict[str, Any] = {
    "name": env.str("QUEUE_NAME", default="viaduct"),
    "workers": Q_WORKERS,
    "timeout": Q_TIMEOUT_SECONDS,
    # A task's lock starts when it is fetched, not when it starts: `retry` must cover the tasks fetched before it.
    "retry": Q_TIMEOUT_SECONDS * 2 + 60,
    "queue_limit": Q_WORKERS,
    "bulk": 1,
    "poll": env.float("Q_POLL_SECONDS", default=0.05),
    "save_limit": -1,  # keeping results costs more than the tasks
    "max_attempts": 2,
    "ack_failures": True,
    "catch_up": False,
    "scheduler": False,  # the clock outside the cluster looks every second; the cluster's own looks every thirty
    "label": "Queue",
}
if REDIS_URL:
    Q_CLUSTER["redis"] = REDIS_URL
else:
    Q_CLUSTER["orm"] = "default"

# ── Worker: the clock and the watchdog beside the cluster ────────────────────────────────────────────────────────────
CLOCK_SECONDS = env.float("CLOCK_SECONDS", default=1.0)
WORKER_NAME = env.str("WORKER_NAME", default="")  # of several on one host
WATCHDOG_SECONDS = env.float("WATCHDOG_SECONDS", default=30.0)

# ── Retention ────────────────────────────────────────────────────────────────────────────────────────────────────────
BODY_DAYS = env.int("BODY_DAYS", default=30)
ROW_DAYS = env.int("ROW_DAYS", default=400)

# ── People ───────────────────────────────────────────────────────────────────────────────────────────────────────────
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "admin:login"
REQUIRE_TWO_FACTOR = env.bool("REQUIRE_TWO_FACTOR", default=False)  # of everybody, the platform's staff included
LOGIN_REDIRECT_URL = "admin:index"
AXES_FAILURE_LIMIT = env.int("LOGIN_FAILURE_LIMIT", default=10)
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]  # each for itself: connections.brakes
AXES_CLIENT_IP_CALLABLE = "connections.remote.remote_address"
AXES_RESET_ON_SUCCESS = True
AXES_VERBOSE = False
AXES_ENABLE_ADMIN = False

# ── Mail ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
EMAIL_CONFIG = env.email_url("EMAIL_URL", default="consolemail://")
vars().update(EMAIL_CONFIG)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="Viaduct <viaduct@localhost>")

# ── Protection ───────────────────────────────────────────────────────────────────────────────────────────────────────
HTTPS = env.bool("HTTPS", default=False)
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^(healthz|readyz|metrics)$"]  # asked from beside us, not through the proxy
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = ("__Host-session", "__Host-csrf") if HTTPS else ("session", "csrf")
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 7 * 24 * 3600
BEHIND_PROXY = env.bool("BEHIND_PROXY", default=False)
if BEHIND_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_REFERRER_POLICY = "same-origin"
DEFAULT_EXCEPTION_REPORTER_FILTER = "connections.reports.ReportFilter"
X_FRAME_OPTIONS = "DENY"  # for browsers that do not know frame-ancestors, below
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF, UNSAFE_EVAL],  # the shell's Alpine build evaluates attributes
        "style-src": [SELF, UNSAFE_INLINE],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "frame-ancestors": [SELF],
        "base-uri": [SELF],
        "form-action": [SELF],
        "object-src": [NONE],
    }
}

# ── Demo: what `make run` sets up on one machine, and only there ─────────────────────────────────────────────────────
PORT = env.int("PORT", default=8000)
SANDBOX_PORT = env.int("SANDBOX_PORT", default=8900)
DEMO_API_KEY = env.str("DEMO_API_KEY", default="")
DEMO_OUTLET_API_KEY = env.str("DEMO_OUTLET_API_KEY", default="")
DEMO_MERCHANT_PASSWORD = env.str("DEMO_MERCHANT_PASSWORD", default="")
DEMO_SUPPORT_PASSWORD = env.str("DEMO_SUPPORT_PASSWORD", default="")
DEMO_SUPERUSER_PASSWORD = env.str("DEMO_SUPERUSER_PASSWORD", default="")

# ── Words, time, files ───────────────────────────────────────────────────────────────────────────────────────────────
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

# ── The shell ────────────────────────────────────────────────────────────────────────────────────────────────────────
UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Viaduct",
    "SITE_HEADER": "Viaduct",
    "SITE_SUBHEADER": "Vrio to Klaviyo",
    "SITE_SYMBOL": "conversion_path",
    "SITE_URL": None,
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("viaduct/icon.svg")},
    ],
    "LOGIN": {"form": "connections.login.LoginForm"},
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "SCRIPTS": [lambda request: static("viaduct/shell.js")],
    "STYLES": [lambda request: static("viaduct/webhooks.css")],
    "SIDEBAR": {"show_search": False, "navigation": "config.navigation.sidebar"},
    "ACCOUNT": {"navigation": "config.navigation.account_links"},
    "DASHBOARD_CALLBACK": "webhooks_log.home.home",
    "COLORS": {
        "primary": {
            "50": "oklch(97.5% .014 200)",
            "100": "oklch(95% .028 200)",
            "200": "oklch(90% .055 200)",
            "300": "oklch(83% .085 200)",
            "400": "oklch(74% .105 200)",
            "500": "oklch(62% .105 205)",
            "600": "oklch(51% .092 210)",
            "700": "oklch(43% .08 212)",
            "800": "oklch(36% .066 214)",
            "900": "oklch(30% .052 216)",
            "950": "oklch(23% .04 218)",
        }
    },
}

# ── Logs ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
LOG_LEVEL = env.str("LOG_LEVEL", default="INFO")
LOG_FORMAT = env.str("LOG_FORMAT", default="plain")  # or json
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"},
        "json": {"()": "config.logs.JsonFormatter"},
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        "django-q": {"level": "WARNING"},
        "axes": {"level": "WARNING"},
        # A line for every call to Klaviyo: for machines, which search; people have the Webhooks tab.
        "viaduct.attempt": {"level": LOG_LEVEL if LOG_FORMAT == "json" else "WARNING"},
    },
}

# ── Watching ─────────────────────────────────────────────────────────────────────────────────────────────────────────
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")  # empty: /metrics answers this machine only
SENTRY_DSN = env.str("SENTRY_DSN", default="")
OTEL_ENDPOINT = env.str("OTEL_ENDPOINT", default="")
