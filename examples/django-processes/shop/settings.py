"""The settings of all three processes. Each reads only the variables that the manifest declares for it."""

import os
from urllib.parse import unquote, urlsplit


def database(url: str) -> dict[str, object]:
    parts = urlsplit(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": parts.hostname,
        "PORT": parts.port or 5432,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "NAME": parts.path.removeprefix("/"),
    }


SECRET_KEY = os.environ["SECRET_KEY"]
ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "").split()
DATABASES = {"default": database(os.environ["DATABASE_URL"])}
INSTALLED_APPS = ["orders"]
ROOT_URLCONF = "shop.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True

# Only the worker has it.
PAYMENT_API_KEY = os.environ.get("PAYMENT_API_KEY")

CELERY_BROKER_URL = os.environ["REDIS_URL"]
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_BEAT_SCHEDULE = {
    "remind": {"task": "orders.tasks.remind", "schedule": float(os.environ.get("REMIND_EVERY", "3600"))},
}
