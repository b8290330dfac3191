"""Settings of the EDMS, read from the environment; docs/reference/settings.md lists the variables.

With none set it is a local EDMS on SQLite under `var/`, in debug mode. With `SECRET_KEY` (or
`SECRET_KEY_FILE`) set it is a production EDMS: debug off, HTTPS only.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from edms import environment

BASE_DIR = Path(__file__).resolve().parent.parent
VAR = BASE_DIR / "var"

# Security

SECRET_KEY = environment.secret("SECRET_KEY")
DEBUG = environment.flag("DEBUG", default=not SECRET_KEY)
if not SECRET_KEY:
    if not DEBUG:
        raise ImproperlyConfigured("DEBUG is off and no SECRET_KEY or SECRET_KEY_FILE is set.")
    SECRET_KEY = "a-key-for-a-local-edms-only-never-for-production"  # noqa: S105

ALLOWED_HOSTS = environment.words(
    "ALLOWED_HOSTS", ("localhost", "127.0.0.1", "[::1]") if DEBUG else ()
)
CSRF_TRUSTED_ORIGINS = environment.words("CSRF_TRUSTED_ORIGINS")

HTTPS = environment.flag("HTTPS", default=not DEBUG)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = HTTPS
# The health check is asked from inside, without a proxy in front.
SECURE_REDIRECT_EXEMPT = [r"^health$"]
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
X_FRAME_OPTIONS = "DENY"
# Preloading puts the whole domain on the lists of browsers. Only its owner may decide that.
SILENCED_SYSTEM_CHECKS = ["security.W021"]

# Application

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_celery_results",
    "axes",
    "backup_tasks",
    "edms.users",
    "edms.documents",
    "edms.workflows",
    "edms.notices",
    "edms.configuration",
    "edms.audit",
    "edms.pages",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    # Serves what `collectstatic` collected; in debug mode `runserver` serves static files itself.
    *([] if DEBUG else ["whitenoise.middleware.WhiteNoiseMiddleware"]),
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "edms.audit.actor.ActorMiddleware",
    "edms.users.time_zone.TimeZoneMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "edms.urls"
WSGI_APPLICATION = "edms.wsgi.application"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "edms.pages.context.company",
            ],
        },
    },
]

AUTH_USER_MODEL = "users.User"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "dashboard"
LOGOUT_REDIRECT_URL = "login"
PASSWORD_RESET_TIMEOUT = 3600  # seconds that a mailed link holds
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

# Failed attempts to sign in are counted in the database, which all web processes share. They are
# counted by user name and address: by name alone, anybody could lock a user out.
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
TRUSTED_PROXIES = environment.number("TRUSTED_PROXIES", 0, least=0)
AXES_CLIENT_IP_CALLABLE = "edms.users.client_address.client_address"
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = environment.number("SIGN_IN_ATTEMPTS", 5)
AXES_COOLOFF_TIME = timedelta(minutes=environment.number("SIGN_IN_LOCK_MINUTES", 15))
# Otherwise a client that goes on trying would stay locked for ever.
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_TEMPLATE = "edms/locked.html"
AXES_DISABLE_ACCESS_LOG = True  # the audit trail has who signed in
AXES_VERBOSE = False  # a line of every command

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en"
USE_I18N = True
USE_TZ = True
# Backups are scheduled by this clock too; UTC has no hour that is missing or happens twice.
TIME_ZONE = "UTC"

# Databases, files, queue

_database_url = environment.secret("DATABASE_URL")
if not _database_url:
    VAR.mkdir(exist_ok=True)
    _database_url = f"sqlite:///{VAR / 'edms.sqlite3'}"
DATABASES = {"default": environment.database(_database_url)}
REDIS_URL = environment.secret("REDIS_URL") or "redis://127.0.0.1:6379/0"

MEDIA_ROOT = environment.text("MEDIA_ROOT", str(VAR / "media"))
MEDIA_URL = "media/"
STATIC_ROOT = environment.text("STATIC_ROOT", str(VAR / "static"))
STATIC_URL = "static/"
STORAGES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
    "backups": environment.store(environment.text("BACKUP_STORE", str(VAR / "backups"))),
}

# Backup

FLOWER_URL = environment.text("FLOWER_URL", "http://127.0.0.1:5555")
UNDO_FILES = environment.text("BACKUP_UNDO_FILES", "")
BACKUP: dict[str, Any] = {
    "STORES": ["backups"],
    "WORKSPACE": environment.text("BACKUP_WORKSPACE", str(VAR / "workspace")),
    "UNDO_FILES": {"default": UNDO_FILES} if UNDO_FILES else {},
    "SEED": "edms.defaults.seed",
    # A restore should not bring back who was locked out.
    "EXCLUDE": ["axes"],
    "FLOWER_URL": FLOWER_URL,
    "RECIPIENTS": environment.words("BACKUP_RECIPIENTS"),
    "REQUIRE_ENCRYPTION": environment.flag("BACKUP_REQUIRE_ENCRYPTION", default=False),
    "IDENTITIES": environment.words("BACKUP_IDENTITY_FILE"),
    "SIGNING_KEY": environment.text("BACKUP_SIGNING_KEY_FILE") or None,
    "TRUSTED_KEYS": environment.words("BACKUP_TRUSTED_KEYS"),
    "ALERT_MAIL": environment.words("BACKUP_ALERT_MAIL"),
    "ALERT_WEBHOOKS": environment.words("BACKUP_ALERT_WEBHOOKS"),
    "ALERT_SECRET": environment.secret("BACKUP_ALERT_SECRET") or None,
    "ALERT_APPRISE": environment.secret("BACKUP_ALERT_APPRISE").split(),
    "PINGS": environment.pairs("BACKUP_PINGS"),
    "MONITORING_TOKEN": environment.secret("BACKUP_MONITORING_TOKEN") or None,
}

# Mail

EMAIL_HOST = environment.text("EMAIL_HOST", "localhost")
if DEBUG and not environment.text("EMAIL_HOST"):
    # A local EDMS has no mail server. The link to a new password is in the log of its web server.
    EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
EMAIL_PORT = environment.number("EMAIL_PORT", 25)
EMAIL_HOST_USER = environment.text("EMAIL_HOST_USER")
EMAIL_HOST_PASSWORD = environment.secret("EMAIL_HOST_PASSWORD")
EMAIL_USE_TLS = environment.flag("EMAIL_USE_TLS", default=False)
EMAIL_TIMEOUT = 30
DEFAULT_FROM_EMAIL = environment.text("EMAIL_FROM", "edms@localhost")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": environment.text("LOG_LEVEL", "INFO").upper()},
    # Django's own handler would write each line a second time.
    "loggers": {"django": {"handlers": [], "level": "INFO"}},
}
