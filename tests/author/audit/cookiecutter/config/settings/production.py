import logging

from .base import *  # noqa: F403
from .base import DATABASES
from .base import env

SECRET_KEY = env("SECRET_KEY")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["example.com"])
DATABASES["default"]["CONN_MAX_AGE"] = env.int("CONN_MAX_AGE", default=60)
CACHES = {
    "default": {
        "LOCATION": env("REDIS_URL"),
        "BACKEND": "django_redis.cache.RedisCache",
    },
    "other": env.cache(),
}
SENTRY_DSN = env("SENTRY_DSN", default=None)
SENTRY_LOG_LEVEL = env.int("SENTRY_LOG_LEVEL", logging.INFO)
