from .base import *  # noqa: F403

SECRET_KEY = env("SECRET_KEY", default="local")
USE_DOCKER = env("USE_DOCKER", default="no")
