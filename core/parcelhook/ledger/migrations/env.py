"""Run by alembic for each of its commands: migrate over the connection that parcelhook opened."""

from __future__ import annotations

from alembic import context

from parcelhook.ledger.schema import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE.name,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
