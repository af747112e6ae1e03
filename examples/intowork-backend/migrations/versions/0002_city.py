"""offers have a city"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("offers", sa.Column("city", sa.String(100)))


def downgrade() -> None:
    op.drop_column("offers", "city")
