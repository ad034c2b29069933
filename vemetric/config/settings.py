"""The settings in force, as the program uses them."""

from pathlib import Path

import msgspec

from vemetric.config.values import Address, Roles
from vemetric.model import clickhouse_url
from vemetric.model.clickhouse_url import ClickHouseUrl
from vemetric.model.redis_url import RedisUrl


class Config(msgspec.Struct, frozen=True):
    """The settings in force. The doc of each field stands in the table."""

    data_dir: Path
    roles: Roles
    secret: str
    listen: Address
    hub_listen: Address | None
    admin_listen: Address | None
    admin_read_only: bool
    bullboard_username: str
    bullboard_password: str
    metrics_token: str
    public_url: str
    base_path: str
    tls_certificate: Path | None
    tls_key: Path | None
    acme_domains: tuple[str, ...]
    acme_agree: bool
    acme_email: str
    acme_directory: str
    acme_ca: Path | None
    acme_listen: Address
    trusted_proxies: str
    log_level: str
    log_format: str
    canary: bool
    drain_seconds: int
    time_zone: str
    session_minutes: int
    retention_days: int
    hit_body_bytes_max: int
    ingest_requests_per_minute: int
    api_requests_per_minute: int
    plan_limits: bool
    geo_database: Path | None
    queue_jobs_max: int
    queue_retries: int
    queue_backoff_seconds: float
    queue_lease_seconds: int
    batch_jobs_max: int
    batch_linger_ms: int
    memory_limit: int
    engine_memory_mb: int
    engine_threads: int
    engine_merge_threads: int
    engine_query_seconds: int
    engine_insert_seconds: int
    database_url: str
    database_replica_url: str
    database_connections_max: int
    redis_url: RedisUrl | None
    redis_prefix: str
    redis_may_lose: bool
    clickhouse_url: ClickHouseUrl | None
    clickhouse_host: ClickHouseUrl | None
    clickhouse_db: str
    clickhouse_user: str
    clickhouse_password: str
    clickhouse_cluster: str
    clickhouse_ca: Path | None
    sign_up: str
    mail_from: str
    mail_tips: bool
    smtp_host: str
    smtp_port: int
    smtp_tls: str
    smtp_user: str
    smtp_password: str
    postmark_server_api_token: str
    postmark_transactional_message_stream_id: str
    postmark_tips_message_stream_id: str
    google_client_id: str
    google_client_secret: str
    github_client_id: str
    github_client_secret: str
    github_url: str
    oidc_issuer: str
    oidc_client_id: str
    oidc_client_secret: str
    oidc_name: str
    oidc_scopes: str
    aws_access_key_id: str
    aws_secret_access_key: str
    aws_s3_endpoint: str
    aws_s3_avatars_bucket: str
    aws_s3_avatars_region: str
    aws_s3_avatars_key_prefix: str
    paddle_webhook_secret_key: str
    paddle_plans: dict[str, int]
    paddle_api_key: str
    paddle_environment: str

    @property
    def is_tls(self) -> bool:
        """Whether the listeners speak TLS."""
        return self.tls_certificate is not None or bool(self.acme_domains)

    @property
    def clickhouse(self) -> ClickHouseUrl | None:
        """The ClickHouse server, however it was named; None for the engine in the process."""
        if self.clickhouse_host is None:
            return self.clickhouse_url
        return self.clickhouse_host._replace(
            user=self.clickhouse_user or clickhouse_url.DEFAULT_USER,
            password=self.clickhouse_password,
            database=self.clickhouse_db or clickhouse_url.DEFAULT_DATABASE,
        )
