"""The settings, all of them from the environment (https://12factor.net/config).

Development runs with nothing set. Production (`ISTHMUS_ENVIRONMENT=production`) refuses to start on an insecure
default and says which command cures it. Each app's own options are declared in its `conf.py`.
"""

import hashlib
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from isthmus import keys, logs

env = environ.Env()  # type: ignore[no-untyped-call]  # django-environ types only part of itself

PACKAGE_DIR = Path(__file__).resolve().parent
ROOT_DIR = PACKAGE_DIR.parent.parent
IS_CHECKOUT = (ROOT_DIR / "manage.py").exists()
# A wheel carries the pages inside the package, a checkout keeps them at the top level.
ASSETS_DIR = ROOT_DIR if IS_CHECKOUT else PACKAGE_DIR / "_assets"

ENVIRONMENT = env.str("ISTHMUS_ENVIRONMENT", "development")
IS_PRODUCTION = ENVIRONMENT == "production"
DEBUG = env.bool("DEBUG", False)
DATA_DIR = Path(env.str("ISTHMUS_DATA_DIR", str((ROOT_DIR if IS_CHECKOUT else Path.cwd()) / ".data"))).resolve()

HTTP_PORT = env.int("ISTHMUS_HTTP_PORT", 8000)
BASE_URL = env.str("ISTHMUS_BASE_URL", f"http://127.0.0.1:{HTTP_PORT}").rstrip("/")
"""How the outside reaches this instance: callback URLs and `instance_url` are made from it."""

# --- what production insists on -------------------------------------------------------------------------------------
_fallback = {} if IS_PRODUCTION else keys.development_keys(DATA_DIR)
SECRET_KEY = env.str("SECRET_KEY", _fallback.get("SECRET_KEY", ""))
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
ISTHMUS_ENCRYPTION_KEYS = env.str("ISTHMUS_ENCRYPTION_KEYS", _fallback.get("ISTHMUS_ENCRYPTION_KEYS", ""))
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[] if IS_PRODUCTION else ["localhost", "127.0.0.1", "[::1]"])


def _refusals() -> list[str]:
    """Return what keeps this configuration from running, one sentence with its cure each."""
    if ENVIRONMENT not in {"development", "production"}:
        return [f"ISTHMUS_ENVIRONMENT is {ENVIRONMENT!r}; it takes development or production."]
    if not IS_PRODUCTION:
        return []
    found = []
    if len(SECRET_KEY) < 50 or len(set(SECRET_KEY)) < 5 or SECRET_KEY.startswith("django-insecure-"):
        found.append("SECRET_KEY is missing or weak. `python -m isthmus.keys` prints a good one.")
    if not ISTHMUS_ENCRYPTION_KEYS and env.str("ISTHMUS_KEY_PROVIDER", "environment") == "environment":
        found.append("ISTHMUS_ENCRYPTION_KEYS is missing. `python -m isthmus.keys` prints a new key; keep it safe.")
    if DEBUG:
        found.append("DEBUG is on. Unset DEBUG: its error pages show what must stay inside.")
    if not ALLOWED_HOSTS or "*" in ALLOWED_HOSTS:
        found.append("ALLOWED_HOSTS is empty or `*`. Set it to your host names: ALLOWED_HOSTS=isthmus.example.org")
    if urlsplit(BASE_URL).scheme != "https":
        found.append("ISTHMUS_BASE_URL is not https. Set it to the public address: https://isthmus.example.org")
    return found


if _found := _refusals():
    raise ImproperlyConfigured("Isthmus does not start like this:\n" + "\n".join(f"- {line}" for line in _found))

# --- apps -----------------------------------------------------------------------------------------------------------
# The demo's app is there for whoever tries a fresh checkout; naming apps of one's own, or production, leaves it out.
ISTHMUS_APPS = env.list("ISTHMUS_APPS", default=["examples.mortgage"] if IS_CHECKOUT and not IS_PRODUCTION else [])
"""Django apps of yours that stand beside ours: dotted names, separated by commas."""

INSTALLED_APPS = [
    "isthmus.console.set_up.SetUpConfig",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "rest_framework",
    "drf_spectacular",
    "axes",
    "oauth2_provider",
    "django_q",
    "django_htmx",
    "csp",
    "isthmus",
    "isthmus.vault",
    "isthmus.audit",
    "isthmus.access",
    "isthmus.console",
    "isthmus.objects",
    "isthmus.jobs",
    "credentials",
    "callouts",
    "callouts.external_services",
    "callouts.queue",
    "events",
    "apexrest",
    "records",
    "crm",
    *[app for app in ISTHMUS_APPS if app],
]

MIDDLEWARE = [
    "isthmus.middleware.CorrelationMiddleware",
    "callouts.middleware.CalloutLimitsMiddleware",
    "isthmus.middleware.CollapsedSlashesMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "isthmus.console.compression.PageCompressionMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "isthmus.access.sign_in.middleware.SignInMiddleware",
    "isthmus.objects.middleware.ActingUserMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "isthmus.console.content_security.ContentSecurityMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "isthmus.urls"
ASGI_APPLICATION = "isthmus.asgi.application"
WSGI_APPLICATION = "isthmus.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ASSETS_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.debug",
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]


# --- database -------------------------------------------------------------------------------------------------------
def _database() -> dict[str, Any]:
    """Return the one database: SQLite by default, PostgreSQL by `DATABASE_URL`."""
    url = env.str("DATABASE_URL", "") or f"sqlite:///{DATA_DIR / 'isthmus.sqlite3'}"
    found: dict[str, Any] = env.db_url_config(url)  # type: ignore[no-untyped-call]  # as above
    options = found.setdefault("OPTIONS", {})
    # Checkouts side by side must not share a test database.
    test_name = f"test_isthmus_{hashlib.sha256(str(ROOT_DIR).encode()).hexdigest()[:8]}"
    if found["ENGINE"].endswith("sqlite3"):
        # Writers queue at BEGIN instead of failing when they upgrade a read lock; readers never wait (WAL).
        options.update(
            transaction_mode="IMMEDIATE",
            timeout=20,
            init_command="PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        )
        # A file, not memory: tests use threads and processes, which must see one database.
        found["TEST"] = {"NAME": str(Path(tempfile.gettempdir()) / f"{test_name}.sqlite3")}
    else:
        # Under ASGI each request's thread is new, so kept connections live in a pool.
        # A connection that the server closed (a restart) is replaced, not handed out.
        found["CONN_HEALTH_CHECKS"] = True
        options["pool"] = {"min_size": 0, "max_size": env.int("ISTHMUS_DATABASE_POOL_SIZE", 20), "timeout": 20}
        # Off behind a pooler that gives out a connection for each transaction and does not know prepared statements.
        options["prepare_threshold"] = 5 if env.bool("ISTHMUS_DATABASE_PREPARED_STATEMENTS", True) else None
        found["TEST"] = {"NAME": test_name}
    return found


DATABASES = {"default": _database()}

# --- security -------------------------------------------------------------------------------------------------------
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
    "isthmus.access.backends.PermissionSetBackend",
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
# The first one makes new hashes; the last one is for the secrets of API clients, which are never chosen by people.
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2SHA1PasswordHasher",
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.BCryptSHA256PasswordHasher",
    "django.contrib.auth.hashers.ScryptPasswordHasher",
    "isthmus.access.hashers.MachineSecretHasher",
]
LOGIN_URL = "console:login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "console:login"

# --- signing in: a few tries, then a pause; a second factor for administrators; sessions that end when unused ---------
AXES_FAILURE_LIMIT = env.int("ISTHMUS_SIGN_IN_TRIES", 5)
AXES_COOLOFF_MINUTES = env.int("ISTHMUS_SIGN_IN_LOCK_MINUTES", 15)
AXES_COOLOFF_TIME = timedelta(minutes=AXES_COOLOFF_MINUTES)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_CLIENT_IP_CALLABLE = "isthmus.access.client_address.client_address"
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
# Who is locked out is told by `SignInMiddleware`, which leaves the answers of programs alone.
SILENCED_SYSTEM_CHECKS = ["axes.W002"]
ISTHMUS_ACCESS_TOTP_FOR_ADMINISTRATORS = env.bool("ISTHMUS_ACCESS_TOTP_FOR_ADMINISTRATORS", IS_PRODUCTION)
SESSION_COOKIE_AGE = env.int("ISTHMUS_SESSION_SECONDS", 2 * 3_600)
"""How long a session lasts that is not used."""
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = IS_PRODUCTION
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_HSTS_SECONDS = 31_536_000 if IS_PRODUCTION else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = IS_PRODUCTION
SECURE_PROXY_SSL_HEADER = (
    ("HTTP_X_FORWARDED_PROTO", "https") if env.bool("ISTHMUS_BEHIND_PROXY", IS_PRODUCTION) else None
)
CSRF_TRUSTED_ORIGINS = [BASE_URL]
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    },
}

# --- limits on what comes in ----------------------------------------------------------------------------------------
DATA_UPLOAD_MAX_MEMORY_SIZE = 6 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2_000

# --- jobs: django-q2 only rings the bell, the Job row is the truth ----------------------------------------------------
_broker_url = env.str("ISTHMUS_BROKER_URL", "")
Q_CLUSTER: dict[str, Any] = {
    "name": "isthmus",
    "workers": env.int("ISTHMUS_WORKER_PROCESSES", 2),
    # The Job row has its own time limit and revival; the engine's stay out of the way.
    "timeout": 86_400,
    "retry": 90_000,
    "max_attempts": 1,
    "save_limit": -1,
    "catch_up": False,
    "scheduler": False,
    "ack_failures": True,
    "broker_class": f"isthmus.jobs.{'redis_broker.RedisBroker' if _broker_url else 'database_broker.DatabaseBroker'}",
    **({"redis": _broker_url} if _broker_url else {"orm": "default"}),
}

# --- outbound and inbound protocols ---------------------------------------------------------------------------------
ISTHMUS_EVENT_LOG_URL = env.str("ISTHMUS_EVENT_LOG_URL", "")
OAUTH2_PROVIDER_APPLICATION_MODEL = "access.ApiClient"
OAUTH2_PROVIDER = {
    # Grants that this server does not know are refused by not being there.
    "OAUTH2_SERVER_CLASS": "isthmus.access.oauth.server.OAuthServer",
    "OAUTH2_VALIDATOR_CLASS": "isthmus.access.oauth.validator.OAuthValidator",
    "ACCESS_TOKEN_GENERATOR": "isthmus.access.tokens.generate_access_token",
    "REFRESH_TOKEN_GENERATOR": "isthmus.access.tokens.generate_refresh_token",
    "ACCESS_TOKEN_EXPIRE_SECONDS": env.int("ISTHMUS_ACCESS_TOKEN_SECONDS", 7200),
    "CLIENT_SECRET_HASHER": "machine_sha256",
    # Which a client may have, `isthmus.access.models.Scope` and the client say.
    "SCOPES": {"api": "Use the API as the user"},
    "DEFAULT_SCOPES": ["api"],
    "OAUTH2_GRANT_TYPES_SUPPORTED": ["authorization_code", "client_credentials", "refresh_token"],
    "OAUTH2_RESPONSE_TYPES_SUPPORTED": ["code"],
    "ALLOWED_REDIRECT_URI_SCHEMES": ["https"],
    "AUTHORIZATION_CODE_EXPIRE_SECONDS": 60,
    "REFRESH_TOKEN_EXPIRE_SECONDS": env.int("ISTHMUS_REFRESH_TOKEN_SECONDS", 90 * 86_400),
    "ALLOW_URI_WILDCARDS": False,
    "PKCE_REQUIRED": True,
    "ROTATE_REFRESH_TOKEN": True,
    "REFRESH_TOKEN_REUSE_PROTECTION": True,
    # https://www.rfc-editor.org/rfc/rfc9700, every rule of it
    **{
        f"COMPLIANT_BCP_RFC9700_{rule}": True
        for rule in (
            "ACCESS_TOKEN_TRANSPORT",
            "AUTHZ_RESPONSE_ISS",
            "IMPLICIT_GRANT",
            "PASSWORD_GRANT",
            "PKCE_METHOD",
            "PKCE_REQUIRED",
            "REDIRECT_URI_MATCHING",
            "REDIRECT_URI_SCHEME",
            "REFRESH_TOKEN",
            "TOKEN_STORAGE",
        )
    },
}
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["isthmus.access.api.AccessTokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": [
        "rest_framework.permissions.IsAuthenticated",
        "isthmus.access.api.HasApiScope",
    ],
    "DEFAULT_RENDERER_CLASSES": ["isthmus.access.api.ApiRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "isthmus.access.api.AlwaysJson",
    "EXCEPTION_HANDLER": "isthmus.access.api.exception_handler",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}

SPECTACULAR_SETTINGS: dict[str, Any] = {
    "OAS_VERSION": "3.1.0",
    "TITLE": "Isthmus",
    "VERSION": "",
    "POSTPROCESSING_HOOKS": [],
    # It would describe views that have no documents; `apexrest.documentation` makes ours.
    "ENABLE_DJANGO_DEPLOY_CHECK": False,
}

# --- pages ----------------------------------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
if not IS_PRODUCTION:
    # WhiteNoise warns about a folder that is not there; here nobody has to run `collectstatic` first.
    STATIC_ROOT.mkdir(parents=True, exist_ok=True)
STATICFILES_DIRS = [ASSETS_DIR / "static"]
WHITENOISE_USE_FINDERS = not IS_PRODUCTION
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if IS_PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage",
    },
}
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True

_SHELL = "isthmus.console.admin_shell"
UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Isthmus",
    "SITE_HEADER": "Isthmus",
    "SITE_SUBHEADER": "Set-up",
    "SITE_URL": "/",
    "SITE_ICON": f"{_SHELL}.brand_icon",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": f"{_SHELL}.favicon"}],
    "STYLES": [f"{_SHELL}.console_style"],
    "SCRIPTS": [f"{_SHELL}.quick_find", f"{_SHELL}.console_script"],
    "DASHBOARD_CALLBACK": f"{_SHELL}.index",
    "ACCOUNT": {"navigation": f"{_SHELL}.account_links"},
    "SIDEBAR": {"show_search": True, "navigation": f"{_SHELL}.sidebar"},
    "BORDER_RADIUS": "8px",
    "COLORS": {
        "base": {
            "50": "oklch(98% .003 195)",
            "100": "oklch(96.2% .004 195)",
            "200": "oklch(91.8% .007 195)",
            "300": "oklch(86.5% .01 195)",
            "400": "oklch(72% .016 200)",
            "500": "oklch(51% .02 205)",
            "600": "oklch(43% .02 205)",
            "700": "oklch(35.5% .018 205)",
            "800": "oklch(27.5% .015 205)",
            "900": "oklch(20.5% .012 205)",
            "950": "oklch(15.5% .01 205)",
        },
        "primary": {
            "50": "oklch(97.5% .013 205)",
            "100": "oklch(94.5% .028 205)",
            "200": "oklch(89.5% .055 205)",
            "300": "oklch(84% .085 205)",
            "400": "oklch(79% .105 205)",
            "500": "oklch(70% .11 208)",
            "600": "oklch(49.5% .088 212)",
            "700": "oklch(42.5% .076 212)",
            "800": "oklch(36.5% .064 212)",
            "900": "oklch(31% .053 212)",
            "950": "oklch(23% .04 212)",
        },
    },
}

# --- logs -----------------------------------------------------------------------------------------------------------
LOGGING_CONFIG = "logging.config.dictConfig"
LOGGING = logs.configuration(as_json=IS_PRODUCTION, level=env.str("ISTHMUS_LOG_LEVEL", "INFO"))
