"""The steps by which the relational schema came about. Alembic runs them; migrate.py calls it."""
