from pydantic_settings import BaseSettings, SettingsConfigDict


class Theme(BaseSettings):
    light: str = "#fff"
    dark: str = "#000"
    model_config = SettingsConfigDict(env_prefix="theme_", extra="allow")
