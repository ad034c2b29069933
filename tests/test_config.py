"""Settings: what is refused, with which sentence, and that the documentation is the table."""

from pathlib import Path

import pytest

from vemetric import config, errors


def test_no_setting_is_needed() -> None:
    settings, warnings = config.load({})
    assert settings.listen == ("0.0.0.0", 4000)
    assert settings.data_dir == Path("vemetric-data").absolute()
    assert warnings == []


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"VEMETRIC_LISTEN": "4000"}, "VEMETRIC_LISTEN is '4000': it must be address:port"),
        ({"VEMETRIC_LISTEN": "0.0.0.0:65536"}, "VEMETRIC_LISTEN is '0.0.0.0:65536'"),
        ({"VEMETRIC_PUBLIC_URL": "stats.example.com"}, "VEMETRIC_PUBLIC_URL is 'stats.example.com'"),
        ({"VEMETRIC_PUBLIC_URL": "https://a.example/x?y"}, "http:// or https:// with a host"),
        ({"VEMETRIC_PUBLIC_URL": "https://a.example:port"}, "http:// or https:// with a host"),
        ({"VEMETRIC_TIME_ZONE": "Vienna"}, "VEMETRIC_TIME_ZONE is 'Vienna'"),
        ({"VEMETRIC_TIME_ZONE": "../etc/passwd"}, "VEMETRIC_TIME_ZONE is"),
        ({"VEMETRIC_SESSION_MINUTES": "0"}, "a whole number of minutes from 1 to 1440"),
        ({"VEMETRIC_SESSION_MINUTES": "1441"}, "a whole number of minutes from 1 to 1440"),
        ({"VEMETRIC_SESSION_MINUTES": "٣"}, "a whole number of minutes"),
        ({"VEMETRIC_ENGINE_MEMORY_MB": "399"}, "a whole number of megabytes from 400"),
        ({"VEMETRIC_RETENTION_DAYS": "6"}, "a whole number of days from 7 to 36500, or 0"),
        ({"VEMETRIC_RETENTION_DAYS": "3_0"}, "a whole number of days"),
        ({"VEMETRIC_MEMORY_LIMIT": "499"}, "a whole number of megabytes from 500 to 1000000, or 0"),
        ({"VEMETRIC_MEMORY_LIMIT": "٩٩٩"}, "a whole number of megabytes"),
        ({"VEMETRIC_QUEUE_BACKOFF_SECONDS": "nan"}, "a number of seconds"),
        ({"VEMETRIC_LOG_LEVEL": "loud"}, "debug, info, warning or error"),
        ({"VEMETRIC_GEO_DATABASE": "/no/such.mmdb"}, "an MMDB file that exists"),
        ({"VEMETRIC_TLS_CERTIFICATE": __file__}, "only allowed together"),
        ({"VEMETRIC_QUEUE_LEASE_SECONDS": "39"}, "it must be at least twice VEMETRIC_ENGINE_INSERT_SECONDS (20)"),
        ({"VEMETRIC_LISTEM": "x"}, "VEMETRIC_LISTEM is not a setting; did you mean VEMETRIC_LISTEN?"),
        ({"VEMETRIC_TLS_CERT": "x"}, "did you mean VEMETRIC_TLS_CERTIFICATE?"),
        ({"VEMETRIC_DATA_DIRECTORY": "x"}, "did you mean VEMETRIC_DATA_DIR?"),
        ({"VEMETRIC_PUBLIC_URL": "http://a b"}, "VEMETRIC_PUBLIC_URL is 'http://a b'"),
        ({"VEMETRIC_PUBLIC_URL": 'http://x"><script>'}, "http:// or https:// with a host"),
        ({"VEMETRIC_PUBLIC_URL": "https://user:pw@stats.example.com"}, "http:// or https:// with a host"),
        ({"VEMETRIC_PUBLIC_URL": "https://stats.example.com/a/../b"}, "http:// or https:// with a host"),
        ({"VEMETRIC_BASE_PATH": "stats"}, "a path of letters, digits"),
        ({"VEMETRIC_BASE_PATH": "/" + "s" * 200}, "a path of letters, digits"),
        (
            {"VEMETRIC_BASE_PATH": "/stats", "VEMETRIC_PUBLIC_URL": "https://example.com/numbers"},
            "VEMETRIC_BASE_PATH is '/stats', but the path of VEMETRIC_PUBLIC_URL is '/numbers': they must be the same",
        ),
        ({"VEMETRIC_ACME_DOMAINS": "stats.example.com"}, "VEMETRIC_ACME_DOMAINS needs VEMETRIC_ACME_AGREE=yes"),
        ({"VEMETRIC_ACME_DOMAINS": "*.example.com"}, "a comma list of at most 20 host names"),
        ({"VEMETRIC_ACME_DOMAINS": "203.0.113"}, "a comma list of at most 20 host names"),
        ({"VEMETRIC_ACME_DOMAINS": ",".join(f"a{n}.example.com" for n in range(21))}, "at most 20 host names"),
        (
            {
                "VEMETRIC_ACME_DOMAINS": "a.example.com",
                "VEMETRIC_TLS_CERTIFICATE": __file__,
                "VEMETRIC_TLS_KEY": __file__,
            },
            "VEMETRIC_ACME_DOMAINS and VEMETRIC_TLS_CERTIFICATE are not allowed together.",
        ),
        ({"VEMETRIC_DATADIR": "x"}, "did you mean VEMETRIC_DATA_DIR?"),
        ({"VEMETRIC_SMTP_HOST": "x"}, "did you mean SMTP_HOST?"),
        ({"VEMETRIC_SIGN_UP": "maybe"}, "closed, invited or open"),
        ({"VEMETRIC_MAIL_FROM": "Vemetric"}, "an e-mail address, or a name with one"),
        ({"VEMETRIC_MAIL_FROM": "a@example.com\nBcc: b@example.com"}, "an e-mail address, or a name with one"),
        ({"VEMETRIC_MAIL_TIPS": "maybe"}, "on or off"),
        ({"SMTP_HOST": "mail.example.com"}, "Mail needs VEMETRIC_MAIL_FROM and VEMETRIC_PUBLIC_URL"),
        ({"SMTP_HOST": "mail.example.com", "POSTMARK_SERVER_API_TOKEN": "x"}, "are not allowed together"),
        ({"PADDLE_API_KEY": "k"}, "needs PADDLE_WEBHOOK_SECRET_KEY"),
        ({"PADDLE_ENVIRONMENT": "moon"}, "sandbox or production"),
        ({"SMTP_PORT": "65536"}, "a whole number of ports from 1 to 65535"),
        ({"GOOGLE_CLIENT_ID": "x"}, "GOOGLE_CLIENT_ID and GOOGLE_CLIENT_SECRET are only allowed together."),
        ({"OIDC_ISSUER": "https://id.example.com", "OIDC_CLIENT_ID": "x"}, "OIDC_CLIENT_SECRET are only allowed"),
        ({"OIDC_ISSUER": "id.example.com"}, "an http or https address"),
        ({"PADDLE_PLANS": "pri_a"}, "a comma list of price=events"),
    ],
)
def test_a_wrong_setting_stops_with_a_sentence(environ: dict[str, str], sentence: str) -> None:
    with pytest.raises(errors.Misconfigured) as caught:
        config.load(environ)
    assert sentence in caught.value.message


@pytest.mark.parametrize(
    "environ",
    [
        {"VEMETRIC_BASE_PATH": "/stats/", "VEMETRIC_PUBLIC_URL": "https://example.com"},
        {"VEMETRIC_PUBLIC_URL": "https://example.com/stats/"},
        {"VEMETRIC_BASE_PATH": "/stats", "VEMETRIC_PUBLIC_URL": "https://example.com/stats"},
    ],
)
def test_the_base_path_is_said_once_or_twice(environ: dict[str, str]) -> None:
    settings, _ = config.load(environ)
    assert (settings.base_path, settings.public_url) == ("/stats", "https://example.com/stats")


def test_names_of_a_certificate_switch_https_on_and_are_the_address() -> None:
    environ = {"VEMETRIC_ACME_DOMAINS": "Stats.example.com, b.example.com", "VEMETRIC_ACME_AGREE": "yes"}
    settings, _ = config.load(environ)
    assert (settings.is_tls, settings.public_url) == (True, "https://stats.example.com")
    assert settings.acme_domains == ("stats.example.com", "b.example.com")


def test_senders_and_plans_are_read() -> None:
    settings, _ = config.load(
        {"VEMETRIC_MAIL_FROM": "Vemetric <stats@example.com>", "PADDLE_PLANS": "pri_a=10000, pri_b=100000"}
    )
    assert settings.mail_from == "Vemetric <stats@example.com>"
    assert settings.paddle_plans == {"pri_a": 10_000, "pri_b": 100_000}
    assert settings.mail_tips


def test_a_lease_may_be_twice_as_long_as_an_insert() -> None:
    settings, _ = config.load({"VEMETRIC_QUEUE_LEASE_SECONDS": "40", "VEMETRIC_ENGINE_INSERT_SECONDS": "20"})
    assert settings.queue_lease_seconds == 40


def test_names_that_platforms_inject_only_warn() -> None:
    _, warnings = config.load({"VEMETRIC_PORT": "tcp://10.0.0.1:4000", "VEMETRIC_SERVICE_HOST": "10.0.0.1"})
    assert [warning.split()[0] for warning in warnings] == ["VEMETRIC_PORT", "VEMETRIC_SERVICE_HOST"]


def test_names_of_tests_are_ignored() -> None:
    assert config.load({"VEMETRIC_TEST_LISTEN": "x"})[1] == []


@pytest.mark.parametrize(("text", "host", "port"), [("[::]:80", "::", 80), (":8080", "0.0.0.0", 8080)])
def test_addresses(text: str, host: str, port: int) -> None:
    settings, _ = config.load({"VEMETRIC_LISTEN": text})
    assert settings.listen == (host, port)


def test_a_clickhouse_server_is_named_by_its_url_or_in_parts() -> None:
    at = config.load({"CLICKHOUSE_URL": "https://ann:secret@ch/stats"})[0].clickhouse
    assert at == ("https://ch:8443/", "ann", "secret", "stats")
    parts = {"CLICKHOUSE_HOST": "http://ch:8123", "CLICKHOUSE_DB": "stats", "CLICKHOUSE_PASSWORD": "secret"}
    assert config.load(parts)[0].clickhouse == ("http://ch:8123/", "default", "secret", "stats")
    assert config.load({"CLICKHOUSE_HOST": "http://ch"})[0].clickhouse == ("http://ch:8123/", "default", "", "vemetric")
    assert config.load({})[0].clickhouse is None


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"CLICKHOUSE_URL": "http://ch", "CLICKHOUSE_HOST": "http://ch"}, "are not allowed together"),
        ({"CLICKHOUSE_URL": "tcp://u:secret@ch:9000"}, "CLICKHOUSE_URL is (hidden)"),
        ({"CLICKHOUSE_HOST": "http://ch/db"}, "http:// or https:// with a host"),
        ({"CLICKHOUSE_PASSWORD": "x"}, "CLICKHOUSE_PASSWORD is only allowed beside CLICKHOUSE_HOST"),
        ({"CLICKHOUSE_HOST": "http://ch", "CLICKHOUSE_DB": "a-b"}, "CLICKHOUSE_DB is 'a-b'"),
        ({"VEMETRIC_CLICKHOUSE_CLUSTER": "two"}, "needs CLICKHOUSE_URL"),
        ({"CLICKHOUSE_URL": "http://ch", "VEMETRIC_CLICKHOUSE_CLUSTER": "a'b"}, "the name of a cluster"),
    ],
)
def test_a_clickhouse_server_that_is_named_wrongly_is_told(environ: dict[str, str], sentence: str) -> None:
    with pytest.raises(errors.Misconfigured) as caught:
        config.load(environ)
    assert sentence in caught.value.message
    assert "secret" not in caught.value.message


def test_roles_are_read_in_any_order() -> None:
    assert str(config.load({})[0].roles) == "hub,web,worker"
    assert config.load({"VEMETRIC_ROLES": " Worker, web,hub "})[0].roles == config.ROLES


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"VEMETRIC_ROLES": "hub"}, "DATABASE_URL and REDIS_URL and CLICKHOUSE_URL are not set"),
        ({"VEMETRIC_ROLES": "web,worker"}, "only where all stores are servers"),
        ({"VEMETRIC_ROLES": "hub", "CLICKHOUSE_URL": "http://ch"}, "DATABASE_URL and REDIS_URL are not set"),
        ({"VEMETRIC_ROLES": "hubs"}, "a comma list of hub, web and worker"),
        ({"VEMETRIC_ROLES": "hub,"}, "a comma list of hub, web and worker"),
        ({"VEMETRIC_SECRET": "short"}, "VEMETRIC_SECRET is (hidden): it must be text of at least 32 characters"),
    ],
)
def test_roles_that_cannot_be_are_told(environ: dict[str, str], sentence: str) -> None:
    with pytest.raises(errors.Misconfigured) as caught:
        config.load(environ)
    assert sentence in caught.value.message


def test_every_option_fills_a_field() -> None:
    assert [option.field for option in config.OPTIONS] == list(config.Config.__struct_fields__)


def test_the_documentation_is_the_table() -> None:
    page = Path(__file__).parents[1] / "docs" / "configuration.md"
    assert page.read_text() == config.as_markdown(), "write docs/configuration.md anew from config.as_markdown()"
