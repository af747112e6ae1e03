"""search offers by title

Built concurrently, so that a running service can go on writing; that is not possible in a transaction.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_offers_title",
            "offers",
            ["title"],
            postgresql_concurrently=True,
            if_not_exists=True,
        )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index("ix_offers_title", "offers", postgresql_concurrently=True, if_exists=True)
