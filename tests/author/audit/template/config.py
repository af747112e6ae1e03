"""The settings of a FastAPI application, in the style of the full-stack template."""

import secrets
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AnyUrl,
    BeforeValidator,
    Field,
    HttpUrl,
    PostgresDsn,
    computed_field,
    field_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict


def split(value: Any) -> Any:
    return value.split(",") if isinstance(value, str) else value


class Settings(BaseSettings):
    """All of them. Not a field: int = 3"""

    model_config = SettingsConfigDict(env_file=None, extra="ignore")

    API_PATH: str = "/api/v1"
    SECRET_KEY: str = secrets.token_urlsafe(32)
    TOKEN_MINUTES: int = 60 * 24
    ENVIRONMENT: Literal["local", "production"] = "local"
    CORS_ORIGINS: Annotated[list[AnyUrl] | str, BeforeValidator(split)] = []
    PROJECT_NAME: str
    SENTRY_DSN: HttpUrl | None = None
    limit: ClassVar[int] = 3
    _cache: dict[str, str] = {}

    @computed_field  # type: ignore[prop-decorator]
    @property
    def origins(self) -> list[str]:
        found: list[str] = []
        for origin in self.CORS_ORIGINS:
            text: str = str(origin)
            found.append(text)
        return found

    POSTGRES_SERVER: str
    POSTGRES_PORT: int = 5432
    POSTGRES_PASSWORD: str = Field(default="", repr=False)
    admin: str = Field(
        ...,
        alias="FIRST_ADMIN",
        description="the first administrator",
    )

    @field_validator("PROJECT_NAME")
    @classmethod
    def check(cls, value: str) -> str:
        return value

    def url(self) -> PostgresDsn:
        port: int = self.POSTGRES_PORT
        return PostgresDsn(f"postgresql://{self.POSTGRES_SERVER}:{port}")


settings = Settings()
