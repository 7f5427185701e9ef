"""What alembic runs to migrate: on a connection whose transaction `autometa.storage` opened."""

from __future__ import annotations

from alembic import context
from sqlalchemy.schema import SchemaItem

from autometa.storage.schema import PREFIX, VERSION_TABLE, Base


def is_ours(
    _item: SchemaItem,
    name: str | None,
    kind: str,
    _is_reflected: bool,
    _compared_to: SchemaItem | None,
) -> bool:
    """Whether a thing found in the database may be migrated: Optuna's tables may not."""
    return kind != "table" or (name or "").startswith(PREFIX)


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
    include_object=is_ours,
    render_as_batch=True,  # SQLite cannot alter most things in place
)
context.run_migrations()
