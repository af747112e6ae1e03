"""The settings of a FastAPI application with several classes, in the style of mealie and Open WebUI's pipelines."""

from functools import lru_cache
from typing import Annotated, Optional

from pydantic import AliasChoices, BaseModel, Field, SecretStr
from pydantic_settings import BaseSettings as Root

from .theme import Theme

Masked = Annotated[str | None, "hidden"]


class Database(BaseModel):
    host: str
    port: int = 5432


class LogSettings(Root):
    """A part of the settings, which is also used alone."""

    PRODUCTION: bool
    LOG_LEVEL: str = "info"
    """levels of Python"""


class AppSettings(LogSettings):
    theme: Theme = Theme()
    BASE_URL: str = "http://localhost"
    SECRET: SecretStr
    _DEFAULT_EMAIL: str = "me@example.com"
    SMTP_USER: Masked = None
    token: Annotated[Optional[str], Field(validation_alias=AliasChoices("API_TOKEN", "TOKEN"))] = None
    database: Database
    model_config = {"env_prefix": "app_", "env_nested_delimiter": "__"}

    @property
    def url(self) -> str:
        return self.BASE_URL

    @staticmethod
    def check(
        host: str | None = None,
        port: str | None = None,
    ) -> bool:
        required = {"SMTP_HOST": host, "SMTP_PORT": port}
        return None not in required.values()


class Strict(Root, case_sensitive=True):
    Exact_Name: str = "x"


@lru_cache
def get_settings() -> AppSettings:
    LogSettings()
    return AppSettings()
