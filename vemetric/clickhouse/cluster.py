"""Our statements for a cluster of ClickHouse servers: replicated tables on every shard, one distributed table before
each of them that bears the name our queries use. Why so: docs/decisions/0006-clickhouse-cluster.md.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from vemetric import errors

LOCAL_SUFFIX: Final = "_local"
# Where each server keeps, in its keeper, what replicas tell each other; {shard} and {replica} are the servers' macros.
KEEPER_PATH: Final = "/clickhouse/tables/{shard}/"
KEEPER_PATH_OF_ALL: Final = "/clickhouse/tables/all/"

# What a row's shard is made of. All rows of a user share one, so that collapsing, visits and funnels need no other.
SHARD_KEYS: Final = {
    "event": "cityHash64(projectId, userId)",
    "session": "cityHash64(projectId, userId)",
    "device": "cityHash64(projectId, userId)",
    "user": "cityHash64(projectId, id)",
}
# Small tables of which every server has a whole copy.
EVERYWHERE: Final = frozenset({"migration", "user_merge"})

CREATE = re.compile(r"\s*CREATE TABLE IF NOT EXISTS (\w+)(\s*\(.*\)\s*)ENGINE = (\w+)(?:\(([^()]*)\))?(.*)", re.DOTALL)
CHANGE = re.compile(r"\s*(ALTER TABLE|OPTIMIZE TABLE|DELETE FROM|TRUNCATE TABLE) (\w+)\b(.*)", re.DOTALL)
# Only these also change what the distributed table looks like.
OF_COLUMNS = re.compile(r"\s*(ADD|DROP|RENAME) COLUMN\b|\s*MODIFY COLUMN\b(?!.*\bCODEC\b)")
# A distributed table has no key.
OF_KEY = re.compile(r",\s*MODIFY ORDER BY.*", re.DOTALL)
# Needs no table of ours, or only writes to those of our names.
BESIDE = re.compile(r"\s*(SYSTEM|KILL|SELECT|SET|INSERT INTO)\b")


class Cluster(NamedTuple):
    """A cluster by the name that the servers' configuration gives it, and the database there."""

    name: str
    database: str

    @property
    def settings(self) -> dict[str, Any]:
        """What every request needs: inserts that have reached a majority of each shard's replicas when they return, one
        after the other, and subqueries that see every shard's rows (a merged user's old and new ones lie on two).
        """
        return {
            "distributed_foreground_insert": 1,
            "distributed_product_mode": "global",
            "insert_quorum": "auto",
            "insert_quorum_parallel": 0,
        }

    @property
    def lookup_settings(self) -> dict[str, Any]:
        """What is asked before a row is written again must not be answered by a replica that lags behind."""
        return {"select_sequential_consistency": 1}

    def left_out(self, conditions: Mapping[str, str]) -> dict[str, str]:
        """What readers leave out, decided once for all shards: each has a copy of the small tables that say so, and one
        that lags behind would show a user's rows twice or not at all.
        """
        return {table: condition.replace(" NOT IN (", " GLOBAL NOT IN (") for table, condition in conditions.items()}

    def statements(self, sql: str) -> list[str]:
        """The statements that do on the cluster what this one does on a single server. StoreError for one that is of no
        kind we know how to spread.
        """
        if found := CREATE.fullmatch(sql):
            return self._create(*found.groups())
        if found := CHANGE.fullmatch(sql):
            return self._change(*found.groups())
        if BESIDE.match(sql):
            return [sql]
        raise errors.StoreError(f"This statement cannot be run on a cluster: {sql.strip()[:80]}")

    def _create(self, table: str, columns: str, engine: str, arguments: str | None, rest: str) -> list[str]:
        everywhere = table in EVERYWHERE
        local = table if everywhere else table + LOCAL_SUFFIX
        path = (KEEPER_PATH_OF_ALL if everywhere else KEEPER_PATH) + f"{self.database}/{table}"
        replica = "{shard}-{replica}" if everywhere else "{replica}"
        given = "".join(f", {argument.strip()}" for argument in (arguments or "").split(",") if argument.strip())
        made = [
            f"CREATE TABLE IF NOT EXISTS {self._named(local)}{columns}"
            f"ENGINE = Replicated{engine}('{path}', '{replica}'{given}){rest}"
        ]
        if not everywhere:
            key = self._key(table)
            made.append(
                f"CREATE TABLE IF NOT EXISTS {self._named(table)} AS {self.database}.{local} "
                f"ENGINE = Distributed('{self.name}', '{self.database}', '{local}', {key})"
            )
        return made

    def _change(self, what: str, table: str, rest: str) -> list[str]:
        if table in EVERYWHERE:
            return [f"{what} {self._named(table)}{rest}"]
        self._key(table)
        changed = [f"{what} {self._named(table + LOCAL_SUFFIX)}{rest}"]
        if what == "ALTER TABLE" and OF_COLUMNS.match(rest):
            changed.append(f"{what} {self._named(table)}{OF_KEY.sub('', rest)}")
        return changed

    def _named(self, table: str) -> str:
        return f"{self.database}.{table} ON CLUSTER '{self.name}'"

    def _key(self, table: str) -> str:
        key = SHARD_KEYS.get(table)
        if key is None:
            raise errors.StoreError(f"Nobody has said by what the rows of {table} are spread over a cluster.")
        return key
