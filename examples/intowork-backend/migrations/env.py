"""How alembic reaches the database: by DATABASE_URL, as the service does."""

import sys
from logging.config import fileConfig
from pathlib import Path

from alembic import context
from sqlalchemy import create_engine, pool

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app.database import Base, database_url  # noqa: E402

if context.config.config_file_name is not None:
    fileConfig(context.config.config_file_name)


def run_offline() -> None:
    """Prints the SQL instead of running it: `alembic upgrade head --sql`."""
    context.configure(url=database_url(), target_metadata=Base.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


def run_online() -> None:
    engine = create_engine(database_url(), poolclass=pool.NullPool)
    with engine.connect() as connection:
        # A migration each: one that failed leaves those before it done.
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            transaction_per_migration=True,
        )
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    run_offline()
else:
    run_online()
