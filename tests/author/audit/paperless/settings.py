"""The settings of a Django application with functions of its own, in the style of paperless-ngx."""

import json
import os
from pathlib import Path
from typing import Optional

# No read: os.getenv("IN_A_COMMENT")
os.environ["OMP_THREAD_LIMIT"] = "1"


def __flag(key: str, default: str = "NO") -> bool:
    """os.environ["IN_A_DOCSTRING"] is no read either."""
    return bool(os.getenv(key, default).lower() in ("yes", "y", "1"))


def __number(key: str, default: int) -> int:
    return int(os.getenv(key, default))


def __optional_number(key: str) -> Optional[int]:
    if key in os.environ:
        return __number(key, -1)
    return None


def __path(
    key: str,
    default: str,
) -> Path:
    if key in os.environ:
        return Path(os.environ[key]).resolve()
    return Path(default).resolve()


def __schedule() -> dict:
    tasks = [{"key": "TASK_CRON", "default": "* * * * *"}]
    return {task["key"]: os.getenv(task["key"], task["default"]) for task in tasks}


DEBUG = __flag("PAPER_DEBUG")
WORKERS = __number("PAPER_WORKERS", 1)
AGE = __optional_number("PAPER_AGE")
MEDIA = __path(
    "PAPER_MEDIA",
    "/media",
)
URL = os.getenv("PAPER_URL")
if URL:
    HOST = os.environ["PAPER_HOST"]
PROVIDERS = json.loads(os.getenv("PAPER_PROVIDERS", "{}"))
HOSTS = os.getenv("PAPER_HOSTS", "*").split(",")
SECRET = os.getenv(
    "PAPER_SECRET",
    "insecure",
)
CACHE = {
    "default": {
        "LOCATION": f"redis://{os.environ['PAPER_REDIS']}/{os.getenv('PAPER_REDIS_DB', 0)}",
        "PREFIX": os.getenv("PAPER_REDIS_PREFIX", ""),
    },
}
if os.getenv("PAPER_DB_HOST") and "PAPER_DB_PORT" in os.environ:
    PORT = os.environ["PAPER_DB_PORT"]
SCHEDULE = __schedule()
