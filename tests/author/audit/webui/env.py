"""The environment of an application in plain Python, in the style of Open WebUI and the fastapi-realworld example's
first version."""

import os
from pathlib import Path

from starlette.config import Config
from starlette.datastructures import CommaSeparatedStrings, Secret

BASE = Path(__file__).parent
USE_CUDA = os.environ.get("USE_CUDA", "false")
if USE_CUDA.lower() == "true":
    os.environ["USE_CUDA"] = "false"

LEVELS = {}
for source in ["AUDIO", "DB"]:
    variable = source + "_LOG_LEVEL"
    LEVELS[source] = os.environ.get(variable, "").upper()

DATA = Path(os.getenv("DATA_DIR", BASE / "data")).resolve()
URL = os.environ.get("DATABASE_URL", f"sqlite:///{DATA}/webui.db")
KEY = os.environ.get(
    "SECRET_KEY",
    os.environ.get(
        "JWT_SECRET_KEY", "t0p-s3cr3t"
    ),  # the old name
)
SOCKETS = (
    os.environ.get("ENABLE_SOCKETS", "True").lower() == "true"
)

config = Config()
DEBUG: bool = config("DEBUG", cast=bool, default=False)
ALLOWED: list[str] = list(
    config("ALLOWED_HOSTS", cast=CommaSeparatedStrings, default=""),
)
PASSWORD: Secret = config("PASSWORD", cast=Secret)
own = Config(env_prefix="OWN_")
PORT = own("PORT_NUMBER", cast=int, default=1)
NAME = own.get("NAME")
