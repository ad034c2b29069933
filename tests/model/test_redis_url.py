"""The forms that name a Redis, and what is none of them."""

import pytest

from vemetric.model import redis_url
from vemetric.model.redis_url import CLUSTER, SENTINEL


def test_one_server() -> None:
    url = redis_url.parse("redis://us%40er:p%3Ass@[::1]:6380/3")
    assert (url.kind, url.hosts, url.database) == ("", (("::1", 6380),), 3)
    assert url.options == {"username": "us@er", "password": "p:ss"}
    assert redis_url.parse("redis://cache").hosts == (("cache", 6379),)
    assert redis_url.parse("redis://:secret@cache").options == {"username": None, "password": "secret"}


def test_tls_with_an_authority_of_its_own() -> None:
    url = redis_url.parse("rediss://cache?ssl_ca_certs=/etc/ca.pem")
    assert url.options == {"username": None, "password": None, "ssl": True, "ssl_ca_certs": "/etc/ca.pem"}


def test_sentinels_and_clusters_have_several_hosts() -> None:
    watched = redis_url.parse("redis-sentinel://:pw@a,b:26380/main/2")
    assert (watched.kind, watched.hosts, watched.name) == (SENTINEL, (("a", 26379), ("b", 26380)), "main")
    assert watched.database == 2
    asked = redis_url.parse("redis-sentinel://:pw@a/main?sentinel_username=ann&sentinel_password=s%26t")
    assert asked.sentinel_login == {"username": "ann", "password": "s&t"}
    assert asked.options == {"username": None, "password": "pw"}
    cluster = redis_url.parse("rediss-cluster://a:1,b:2")
    assert (cluster.kind, cluster.hosts, cluster.options["ssl"]) == (CLUSTER, (("a", 1), ("b", 2)), True)


@pytest.mark.parametrize(
    "url",
    [
        "http://cache", "cache:6379", "redis://", "redis://a,b", "redis://cache/x", "redis://cache/1/2",
        "redis://cache:port", "redis-sentinel://a", "redis-cluster://a/1", "redis://cache?ssl_ca_certs=x",
        "rediss://cache?ssl_cert_reqs=none", "rediss://cache?db=3", "redis://cache/1000", "redis://cache#x",
        "redis://cache?sentinel_password=x", "redis-sentinel://a/main?ssl_ca_certs=x",
    ],
)  # fmt: skip
def test_anything_else_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        redis_url.parse(url)
