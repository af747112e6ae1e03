"""How alembic reaches the database: as the service does."""

from alembic import context

from main import engine

with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
