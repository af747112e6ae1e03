"""The base settings of a Django project, in the style of cookiecutter-django."""

from pathlib import Path

import environ

BASE_DIR = Path(__file__).resolve(strict=True).parent
env = environ.Env(
    DEBUG=(bool, False),
    WORKERS=int,
)

READ_DOT_ENV_FILE = env.bool("READ_DOT_ENV_FILE", default=False)
if READ_DOT_ENV_FILE:
    env.read_env(str(BASE_DIR / ".env"))

DEBUG = env("DEBUG")
WORKERS = env("WORKERS")
DATABASES = {"default": env.db("DATABASE_URL", default="postgres:///project")}
ADMIN_URL = env.str("ADMIN_URL", "admin/")
EMAIL_TIMEOUT = env.int(
    "EMAIL_TIMEOUT",
    default=5,
)
