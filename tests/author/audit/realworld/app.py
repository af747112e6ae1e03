import logging
from typing import Any, Dict, List, Optional, Tuple

from pydantic.v1 import Field, PostgresDsn, SecretStr, validator

from base import Base


class Application(Base):
    debug: bool = False
    title: str = "Example"
    database_url: PostgresDsn
    pool = 10
    secret_key: SecretStr
    mail_from: Optional[str]
    hosts: List[str] = ["*"]
    level: int = logging.INFO
    loggers: Tuple[str, str] = ("uvicorn.asgi", "uvicorn.access")
    broker: str = Field("memory://", env=["BROKER_URL", "CLOUDAMQP_URL"])
    dsn: str = ""

    class Config:
        validate_assignment = True
        fields = {"dsn": {"env": "SENTRY_DSN"}}

    @validator("title")
    def check(cls, value: str) -> str:
        name: str = value
        return name

    @property
    def arguments(self) -> Dict[str, Any]:
        return {"debug": self.debug}


class Development(Application):
    debug: bool = True
    title: str = "Dev"

    class Config(Application.Config):
        env_file = ".env"


class Production(Application):
    class Config(Application.Config):
        env_prefix = "PROD_"


def settings() -> Application:
    kind = Base().app_env
    return {"dev": Development, "prod": Production}[kind]()
