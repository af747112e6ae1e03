"""Creates the first superuser, unless there is one: `python -m app.initial_data`."""

import hashlib
import os

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.config import settings
from app.db import User, engine


def hashed(password: str) -> str:
    salt = os.urandom(16)
    return f"{salt.hex()}:{hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1).hex()}"


def main() -> None:
    email = settings.FIRST_SUPERUSER
    with Session(engine) as session:
        if session.scalar(select(User).where(User.email == email)) is None:
            password = hashed(settings.FIRST_SUPERUSER_PASSWORD.get_secret_value())
            session.add(User(email=email, hashed_password=password, is_superuser=True))
            session.commit()
            print("created the first superuser")


if __name__ == "__main__":
    main()
