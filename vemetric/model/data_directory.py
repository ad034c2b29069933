"""What lies where in the data directory: the stores that are files, and what belongs to them."""

ANALYTICS_NAME = "analytics"
DATABASE_NAME = "vemetric.db"
QUEUE_NAME = "queue.db"
SECRET_NAME = "secret.key"  # noqa: S105 - the name of a file
PICTURES_NAME = "avatars"
# What SQLite keeps beside a file while it is open.
COMPANIONS = ("-wal", "-shm")
