"""The table of orders."""

from alembic import op

revision = "first"
down_revision = None


def upgrade():
    op.execute("CREATE TABLE orders (id bigserial PRIMARY KEY, packed boolean NOT NULL DEFAULT false)")
