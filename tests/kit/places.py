"""A small database of places in MMDB form, written by a test."""

from pathlib import Path

from mmdb_writer import MMDBWriter
from netaddr import IPSet


def write(path: Path, places: dict[str, dict[str, object]]) -> Path:
    """addresses or networks to flat records, such as {"203.0.113.66": {"country_code": "AT"}}."""
    writer = MMDBWriter(ip_version=6, ipv4_compatible=True, database_type="test")
    for network, record in places.items():
        writer.insert_network(IPSet([network]), record)
    writer.to_db_file(str(path))
    return path
