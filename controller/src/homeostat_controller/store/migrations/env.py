"""Alembic's entry: it runs the revisions over the connection that `schema.migrate` hands in, and no other way."""

from alembic import context

from homeostat_controller.store import tables  # noqa: F401  # importing them makes the metadata whole
from homeostat_controller.store.column_types import Record

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Record.metadata,
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
