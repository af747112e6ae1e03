"""The database: its address, its sessions, its tables."""

import os
from collections.abc import Iterator

from sqlalchemy import String, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker


def database_url() -> str:
    """DATABASE_URL with the driver that is installed here; `postgresql://` alone would mean psycopg2."""
    url = os.environ["DATABASE_URL"]
    scheme, separator, rest = url.partition("://")
    return f"postgresql+psycopg{separator}{rest}" if scheme == "postgresql" else url


class Base(DeclarativeBase):
    pass


class Offer(Base):
    """A job that somebody offers."""

    __tablename__ = "offers"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(200), index=True)
    city: Mapped[str | None] = mapped_column(String(100))


_new_session = sessionmaker(create_engine(database_url(), pool_pre_ping=True))


def session() -> Iterator[Session]:
    """A session for one request."""
    with _new_session() as opened:
        yield opened
