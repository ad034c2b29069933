"""The settings of what hits and rows are kept in: the queue, the engine, and the servers in their place."""

from vemetric.config.option import Option, number
from vemetric.config.values import (
    parse_clickhouse_host,
    parse_clickhouse_url,
    parse_cluster,
    parse_database_name,
    parse_database_url,
    parse_existing_path,
    parse_key_prefix,
    parse_redis_url,
    seconds_between,
    switch,
    zero_or,
)
from vemetric.model import redis_url

OPTIONS: tuple[Option, ...] = (
    number(
        "VEMETRIC_QUEUE_JOBS_MAX",
        5_000_000,
        1000,
        1_000_000_000,
        "jobs",
        "How many jobs may wait; beyond it the hub answers 503 until the backlog shrinks.",
    ),
    number("VEMETRIC_QUEUE_RETRIES", 5, 0, 100, "retries", "How often a failing job is retried before it is buried."),
    Option(
        "VEMETRIC_QUEUE_BACKOFF_SECONDS",
        "1",
        seconds_between(0.01, 3600),
        "a number of seconds from 0.01 to 3600",
        "The wait before the first retry; it doubles with each further one.",
    ),
    number(
        "VEMETRIC_QUEUE_LEASE_SECONDS",
        90,
        2,
        3600,
        "seconds",
        "How long a claimed batch belongs to its worker. At least twice VEMETRIC_ENGINE_INSERT_SECONDS.",
    ),
    number("VEMETRIC_BATCH_JOBS_MAX", 5000, 1, 100_000, "jobs", "The most jobs one insert is made of."),
    number("VEMETRIC_BATCH_LINGER_MS", 500, 0, 60_000, "milliseconds", "How long a small batch waits for company."),
    Option(
        "VEMETRIC_MEMORY_LIMIT",
        "0",
        # Idle, with the engine loaded, it takes about 300.
        zero_or(500, 1_000_000),
        "a whole number of megabytes from 500 to 1000000, or 0",
        "The memory the whole process is to stay within, such as a container's less a tenth; 0: none. The embedded "
        "engine gets 85 % of it, whatever VEMETRIC_ENGINE_MEMORY_MB says; when memory is short, queries of pages run "
        "one by one, then wait, and pages say so.",
    ),
    number(
        "VEMETRIC_ENGINE_MEMORY_MB",
        700,
        400,
        1_000_000,
        "megabytes",
        "The most memory the process may hold before the embedded analytics engine refuses work.",
    ),
    number("VEMETRIC_ENGINE_THREADS", 2, 1, 256, "threads", "Threads a query of the embedded engine may use."),
    number("VEMETRIC_ENGINE_MERGE_THREADS", 1, 1, 64, "threads", "Threads that merge parts in the background."),
    number("VEMETRIC_ENGINE_QUERY_SECONDS", 30, 1, 3600, "seconds", "A longer query of a page is stopped."),
    number("VEMETRIC_ENGINE_INSERT_SECONDS", 20, 1, 600, "seconds", "A longer insert is stopped and tried again."),
    Option(
        "DATABASE_URL",
        "",
        parse_database_url,
        "postgresql://user:password@host:5432/database",
        "A PostgreSQL server (14 or newer) for accounts, projects and identities, instead of a file. PgBouncer in "
        "front of it may work in transaction mode.",
        secret=True,
    ),
    Option(
        "VEMETRIC_DATABASE_REPLICA_URL",
        "",
        parse_database_url,
        "postgresql://user:password@host:5432/database",
        "A replica of that server for what pages show and may be a moment old. While it cannot be reached, the server "
        "itself is asked.",
        secret=True,
    ),
    number(
        "VEMETRIC_DATABASE_CONNECTIONS_MAX", 10, 1, 500, "connections", "Connections to PostgreSQL a process keeps."
    ),
    Option(
        "REDIS_URL",
        "",
        parse_redis_url,
        redis_url.ALLOWED,
        "A Redis (7 or newer) or Valkey for queue and keys, instead of a file. It must keep an append-only file and "
        "drop no keys (docs/scaling.md).",
        secret=True,
    ),
    Option(
        "VEMETRIC_REDIS_PREFIX",
        "vemetric",
        parse_key_prefix,
        "1 to 64 letters, digits and _ . : -",
        "What all keys begin with, in braces. Instances that share a server need different ones.",
    ),
    Option(
        "VEMETRIC_REDIS_MAY_LOSE",
        "no",
        switch("yes", "no"),
        "yes or no",
        "Start on a Redis without append-only file, or one that drops keys when its memory is full. Accepted events "
        "can then be lost.",
    ),
    Option(
        "CLICKHOUSE_URL",
        "",
        parse_clickhouse_url,
        "http(s)://user:password@host:8123/database, all but scheme and host optional",
        "A ClickHouse server (25.8 or newer) for the analytics, instead of the engine in the process. The database is "
        "made if it is missing.",
        secret=True,
    ),
    Option(
        "CLICKHOUSE_HOST",
        "",
        parse_clickhouse_host,
        "http:// or https:// with a host and perhaps a port",
        "The same server in parts: its address, and the three settings below. Not beside CLICKHOUSE_URL.",
    ),
    Option(
        "CLICKHOUSE_DB",
        "",
        parse_database_name,
        "a name of letters, digits and _",
        "The database; vemetric without it.",
    ),
    Option("CLICKHOUSE_USER", "", str, "text", "The user; default without it."),
    Option("CLICKHOUSE_PASSWORD", "", str, "text", "The user's password.", secret=True),
    Option(
        "VEMETRIC_CLICKHOUSE_CLUSTER",
        "",
        parse_cluster,
        "the name of a cluster in the servers' configuration",
        "Spread the tables over this cluster: replicated, sharded by user (docs/clickhouse-cluster.md).",
    ),
    Option(
        "VEMETRIC_CLICKHOUSE_CA",
        "",
        parse_existing_path,
        "the path of a PEM file that exists",
        "The authority that signed the ClickHouse server's certificate, where the system does not know it.",
    ),
)
