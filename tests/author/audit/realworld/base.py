from enum import Enum

from pydantic.v1 import BaseSettings


class Kind(Enum):
    prod: str = "prod"
    dev: str = "dev"


class Base(BaseSettings):
    app_env: Kind = Kind.prod

    class Config:
        env_file = ".env"
