"""Run by Alembic for every upgrade; the connection comes from migrate.py, with its transaction."""

from alembic import context

from vemetric.database.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite alters a table by making it anew.
    render_as_batch=True,
)
context.run_migrations()
