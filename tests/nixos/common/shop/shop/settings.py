"""What the host says, as docs/coming-from-compose.md has it: variables, and systemd's credentials."""

import os
from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(secrets_dir=os.environ.get("CREDENTIALS_DIRECTORY"))

    app_env: str
    database_url: str
    secret_key: str
    redis_host: str
    redis_password: str


def broker() -> str:
    """The stack's Redis, for Celery."""
    password = Path(os.environ["REDIS_PASSWORD_FILE"]).read_text().strip()
    return f"redis+socket://:{password}@{os.environ['REDIS_HOST']}"
