"""Fill an analytics store with realistic traffic, made inside the engine: `python benchmarks/data.py --directory D`.

Visits follow the hour of the day, most visitors are anonymous (a new id every day), pages and sources are skewed, and
the columns have the entropy of real ones (ids, context ids, click ids, headers). Equal arguments give equal rows.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from vemetric.clickhouse import migrate, rows  # noqa: E402
from vemetric.clickhouse.embedded import EmbeddedEngine  # noqa: E402
from vemetric.clickhouse.engine import Engine  # noqa: E402

EVENTS_PER_SESSION = 2.766
DAY_MS = 86_400_000
MONTH_DAYS = 30.4375
SESSIONS_PER_INSERT = 100_000
# Making the rows takes more memory than serving them.
FILL_MEMORY_BYTES_MAX = 3_000_000_000
# The largest has 40 %: 4 million events of 10.
PROJECT_SHARES = (0.40, 0.25, 0.15, 0.12, 0.08)
PROJECT_IDS = tuple(4_611_686_018_427_387_904 + 97 * number for number in range(len(PROJECT_SHARES)))
PAGES_PER_PROJECT = 400
AGENTS = 600
PLACES = 300
SEED = 20_260_101
# Eighteen quintillion in Float64: hashes divided by it are fractions.
FRACTION = "/ 18446744073709551616."


class Plan(NamedTuple):
    """How much to make, and when it ends (milliseconds since 1970 UTC)."""

    events: int
    months: float
    projects: int
    until_ms: int
    id_chars: int = 12

    @property
    def sessions(self) -> int:
        return max(1, round(self.events / EVENTS_PER_SESSION))


def fraction(*parts: str) -> str:
    """SQL for a number in [0, 1) that depends on these expressions only."""
    return f"(cityHash64({SEED}, {', '.join(parts)}) {FRACTION})"


def skewed(count: int, *parts: str) -> str:
    """SQL for an index below `count`; low ones come far more often (about 1 / rank)."""
    return f"toUInt32(floor(exp({fraction(*parts)} * ln({count + 1}))) - 1) % {count}"


def random_id(chars: int, *parts: str) -> str:
    digests = ", ".join(f"toString(sipHash128({SEED}, {', '.join(parts)}, {part}))" for part in range(1 + chars // 20))
    return f"substring(base58Encode(concat({digests})), 2, {chars})"


def session_sql(plan: Plan) -> str:
    """One row per visit {first} to {first} + {count}, in order of time, with the moments of its events as an array."""
    bounds = [sum(PROJECT_SHARES[: number + 1]) for number in range(plan.projects)]
    total = bounds[-1]
    project = "".join(f"{fraction('n', '1')} < {bound / total}, {number}, " for number, bound in enumerate(bounds[:-1]))
    project = f"multiIf({project}{plan.projects - 1})" if project else "0"
    span_ms = round(plan.months * MONTH_DAYS * DAY_MS)
    return f"""
    SELECT n, {project} AS project, arrayElement({list(PROJECT_IDS)}, project + 1) AS projectId,
        toUInt64(intDiv(position, {DAY_MS})) AS day,
        position / {DAY_MS} - day AS hour,
        {plan.until_ms - span_ms} + day * {DAY_MS}
            + toUInt64({DAY_MS} * (hour + 0.7 * (sin(6.283185 * (hour - 0.6)) + sin(3.769911)) / 6.283185)) AS started,
        toUInt64(floor({plan.sessions} * 0.4 * pow({fraction("n", "3")}, 2))) AS visitor,
        cityHash64({SEED}, project, visitor, 4) AS visitor_hash,
        visitor_hash % 10 < 3 AS with_cookie,
        visitor_hash % 10 = 0 AS identified,
        cityHash64({SEED}, project, visitor, if(with_cookie, 0, day + 1)) AS userId,
        {skewed(AGENTS, "project", "visitor", "5")} AS agent,
        {skewed(PLACES, "project", "visitor", "6")} AS place,
        if({fraction("n", "7")} < 0.45, 0, 1 + {skewed(59, "n", "8")}) AS source,
        {fraction("n", "9")} AS depth,
        toUInt32(if(depth < 0.45, 1, least(60, 2 + floor(-ln((1 - depth) / 0.55) * 2.7)))) AS steps,
        arrayCumSum(arrayMap(step -> if(step = 0, 0, 1500 + least(1700000,
            toUInt64(-ln({fraction("n", "step", "10")} + 1e-12) * 45000))), range(steps))) AS offsets,
        {random_id(plan.id_chars, "n", "11")} AS sessionId,
        {random_id(64, "n", "12")} AS click
    FROM (
        SELECT number AS n, toUInt64((n + {fraction("n", "2")}) / {plan.sessions} * {span_ms}) AS position
        FROM numbers({{first:UInt64}}, {{count:UInt64}})
    )
    """


def place_columns() -> str:
    return """
        country AS countryCode, place_city AS city, place_latitude AS latitude, place_longitude AS longitude,
        if(identified, concat('user', toString(visitor), '@example.org'), '') AS userIdentifier,
        if(identified, concat('User ', toString(visitor)), '') AS userDisplayName
    """


def landing_columns() -> str:
    """Source and address of a visit's first page; the SDK sends neither on later pages."""
    return """
        if(landing, source_referrer, '') AS referrer, if(landing, source_url, '') AS referrerUrl,
        if(landing, source_type, 'direct') AS referrerType,
        if(landing, source_utm_source, '') AS utmSource, if(landing, source_utm_medium, '') AS utmMedium,
        if(landing, source_utm_campaign, '') AS utmCampaign,
        multiIf(NOT landing, '{}', source_clicks, concat('{"gclid":"', click, '"}'),
            utmSource != '', concat('{"utm_source":"', utmSource, '","utm_medium":"', utmMedium, '","utm_campaign":"',
                utmCampaign, '"}'), '{}') AS queryParams
    """


def joins() -> str:
    return """
    ANY LEFT JOIN pool_agent ON agent = pool_agent.number
    ANY LEFT JOIN pool_place ON place = pool_place.number
    ANY LEFT JOIN pool_source ON source = pool_source.number
    """


def event_insert(plan: Plan) -> str:
    return f"""
    INSERT INTO event ({", ".join(rows.EVENT_COLUMNS)})
    SELECT 1 AS sign, projectId, userId, sessionId, toString(1000000000000000 + cityHash64(n, 13) % 9000000000000000),
        cityHash64(userId, agent) AS deviceId, {random_id(plan.id_chars, "n", "step", "14")} AS id,
        if(isPageView, '$$pageView', arrayElement(['signup', 'search', 'add_to_cart', 'video_play', 'download',
            '$$outboundLink', 'newsletter', 'share'], 1 + {skewed(8, "n", "step", "15")})) AS name,
        fromUnixTimestamp64Milli(toInt64(started + offset), 'UTC') AS createdAt, isPageView,
        userIdentifier, userDisplayName, customData, '' AS importSource, countryCode, city, latitude, longitude,
        osName, osVersion, clientName, clientVersion, clientType, deviceType, userAgent, requestHeaders,
        referrer, referrerUrl, referrerType, origin, pathname, queryParams, urlHash,
        utmSource, utmMedium, utmCampaign, '' AS utmContent, '' AS utmTerm
    FROM (
        SELECT *, offset, step, step = 0 AS landing, step = 0 OR cityHash64(n, step, 16) % 5 != 0 AS isPageView,
            {place_columns()}, {landing_columns()},
            concat('https://site', toString(project), '.example') AS origin,
            {page_path("step")} AS pathname,
            if(cityHash64(n, step, 17) % 40 = 0, '#pricing', '') AS urlHash,
            concat('{{"plan":"', arrayElement(['free', 'pro', 'team'], 1 + cityHash64(n, 18) % 3),
                '","seats":', toString(cityHash64(n, step, 19) % 20), '}}') AS properties,
            if(isPageView, '{{}}', properties) AS customData,
            concat('{{"allow-cookies":"', if(with_cookie, 'true', 'false'), '","referer":"', origin, '/",',
                agent_headers, if(landing AND referrerUrl != '', concat('"v-referrer":"', referrerUrl, '",'), ''),
                '"v-sdk":"script","v-sdk-version":"0.6.1"}}') AS requestHeaders
        FROM ({session_sql(plan)}) AS visit {joins()}
        ARRAY JOIN offsets AS offset, range(steps) AS step
    )
    WHERE createdAt < fromUnixTimestamp64Milli({plan.until_ms}, 'UTC')
    """


def session_insert(plan: Plan) -> str:
    return f"""
    INSERT INTO session ({", ".join(rows.SESSION_COLUMNS)})
    SELECT 0 AS deleted, projectId, userId, sessionId AS id,
        fromUnixTimestamp64Milli(toInt64(started), 'UTC') AS startedAt,
        fromUnixTimestamp64Milli(toInt64(started + offsets[-1]), 'UTC') AS endedAt,
        toUInt32(round(offsets[-1] / 1000)) AS duration, nullIf(userIdentifier, ''), nullIf(userDisplayName, ''),
        countryCode, city, userAgent, referrer, referrerUrl, referrerType,
        concat('https://site', toString(project), '.example') AS origin, {page_path("0")} AS pathname, queryParams,
        '' AS urlHash, utmSource, utmMedium, utmCampaign, '' AS utmContent, '' AS utmTerm, latitude, longitude,
        '' AS importSource, steps AS version, 0 AS mergeId
    FROM (SELECT *, 1 AS landing, {place_columns()}, {landing_columns()} FROM ({session_sql(plan)}) AS visit {joins()})
    WHERE startedAt < fromUnixTimestamp64Milli({plan.until_ms}, 'UTC')
    """


def page_path(step: str) -> str:
    index = skewed(PAGES_PER_PROJECT, "n", step, "20")
    return f"""if({index} = 0, '/', concat(arrayElement(['/docs/', '/blog/', '/shop/', '/help/', '/a/'],
        1 + {index} % 5), 'page-', toString({index}),
        arrayElement(['', '/setup', '/details', '/edit'], 1 + {index} % 4)))
    """


DEVICES = """
    INSERT INTO device
    SELECT 1, projectId, userId, deviceId, min(createdAt), any(osName), any(osVersion), any(clientName),
        any(clientVersion), any(clientType), any(deviceType), ''
    FROM event WHERE createdAt >= {from:DateTime64(3, 'UTC')} AND createdAt < {to:DateTime64(3, 'UTC')}
    GROUP BY projectId, userId, deviceId
"""

USERS = """
    INSERT INTO user (projectId, id, identifier, displayName, createdAt, updatedAt, firstSeenAt, countryCode, city,
        initialDeviceId, customData, userAgent, origin, pathname, latitude, longitude, version)
    SELECT projectId, userId, any(userIdentifier), any(userDisplayName), min(createdAt) AS first, first, first,
        any(countryCode), any(city), any(deviceId), '{}', any(userAgent), any(origin), any(pathname), any(latitude),
        any(longitude), 1
    FROM event WHERE createdAt >= {from:DateTime64(3, 'UTC')} AND createdAt < {to:DateTime64(3, 'UTC')}
        AND userIdentifier != ''
    GROUP BY projectId, userId
"""

SYSTEMS = (
    # name, version, in the user agent, device type
    ("Windows", "10", "Windows NT 10.0; Win64; x64", "desktop"),
    ("Android", "15", "Linux; Android 10; K", "mobile"),
    ("iOS", "18.5", "iPhone; CPU iPhone OS 18_5 like Mac OS X", "mobile"),
    ("macOS", "10.15.7", "Macintosh; Intel Mac OS X 10_15_7", "desktop"),
    ("Linux", "", "X11; Linux x86_64", "desktop"),
)
SOURCES = (
    ("Google", "https://www.google.com/", "search"),
    ("Bing", "https://www.bing.com/", "search"),
    ("Facebook", "https://www.facebook.com/", "social"),
    ("news.ycombinator.com", "https://news.ycombinator.com/", "social"),
    ("github.com", "https://github.com/", "url"),
    ("ChatGPT", "https://chatgpt.com/", "llm"),
)


def agent_pool() -> Iterable[tuple[Any, ...]]:
    choice = random.Random(SEED)
    for number in range(AGENTS):
        system, system_version, platform, device = SYSTEMS[number % len(SYSTEMS)]
        version = f"{choice.choice((120, 128, 131, 134, 136, 137, 138, 138, 138))}.0.0.0"
        headers = {"user-agent": f"Mozilla/5.0 ({platform}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}"}
        if system == "iOS" or (system == "macOS" and choice.random() < 0.6):
            name, version = "Safari", f"{choice.choice((16, 17, 18))}.{choice.randrange(7)}"
            headers["user-agent"] = (
                f"Mozilla/5.0 ({platform}) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{version}"
            )
        elif choice.random() < 0.15:
            name, version = "Firefox", f"{choice.randrange(115, 141)}.0"
            headers["user-agent"] = f"Mozilla/5.0 ({platform}; rv:{version}) Gecko/20100101 Firefox/{version}"
        else:
            name = choice.choice(("Chrome", "Chrome", "Chrome", "Microsoft Edge", "Opera"))
            major = version.split(".")[0]
            headers["sec-ch-ua"] = f'"Not)A;Brand";v="8", "Chromium";v="{major}", "{name}";v="{major}"'
            headers["sec-ch-ua-mobile"] = "?1" if device == "mobile" else "?0"
            headers["sec-ch-ua-platform"] = f'"{system}"'
            headers["user-agent"] += f" {'Mobile ' if device == 'mobile' else ''}Safari/537.36"
        text = json.dumps(headers, separators=(",", ":"))[1:-1] + ","
        yield number, headers["user-agent"], text, system, system_version, name, version, "browser", device


def place_pool() -> Iterable[tuple[Any, ...]]:
    choice = random.Random(SEED)
    countries = ("US", "DE", "GB", "FR", "IN", "AT", "CA", "NL", "BR", "ES", "IT", "PL", "JP", "SE", "AU", "")
    for number in range(PLACES):
        country = countries[number % len(countries)]
        place = (round(choice.uniform(-40, 65), 4), round(choice.uniform(-120, 150), 4)) if country else (None, None)
        yield number, country, f"City {number}" if country else "", *place


def source_pool() -> Iterable[tuple[Any, ...]]:
    yield 0, "", "", "direct", "", "", "", False
    for number in range(1, 60):
        name, url, kind = (
            SOURCES[(number - 1) % len(SOURCES)] if number < 30 else (f"blog{number}.example",) * 2 + ("url",)
        )
        url = url if url.startswith("https") else f"https://{url}/post/{number}"
        tagged = number % 5 == 0
        utm = (f"source{number}", "cpc", f"campaign-{number % 7}") if tagged else ("", "", "")
        yield number, utm[0] or name, url, kind, *utm, number % 12 == 5


POOLS = {
    "pool_agent": (
        "number UInt32, userAgent String, agent_headers String, osName String, osVersion String, clientName String, "
        "clientVersion String, clientType String, deviceType String",
        agent_pool,
    ),
    "pool_place": (
        "number UInt32, country String, place_city String, place_latitude Nullable(Float32), "
        "place_longitude Nullable(Float32)",
        place_pool,
    ),
    "pool_source": (
        "number UInt32, source_referrer String, source_url String, source_type String, source_utm_source String, "
        "source_utm_medium String, source_utm_campaign String, source_clicks Bool",
        source_pool,
    ),
}


async def fill(engine: Engine, plan: Plan) -> None:
    """Insert the plan's rows into an engine that is migrated and empty."""
    for name, (columns, pool) in POOLS.items():
        await engine.command(f"CREATE TABLE {name} ({columns}) ENGINE = Memory")
        names = [column.split()[0] for column in columns.split(", ")]
        await engine.insert(name, names, [tuple(row) for row in pool()])
    limits = "SETTINGS max_insert_threads = 1, max_threads = 2, max_block_size = 16384"
    for first in range(0, plan.sessions, SESSIONS_PER_INSERT):
        part = {"first": first, "count": min(SESSIONS_PER_INSERT, plan.sessions - first)}
        await engine.command(f"{event_insert(plan)} {limits}", part)
        await engine.command(f"{session_insert(plan)} {limits}", part)
    month_ms = round(MONTH_DAYS * DAY_MS)
    for month in range(int(plan.months) + 2):
        to = plan.until_ms - month * month_ms
        period = {"from": rows.timestamp(to - month_ms), "to": rows.timestamp(to)}
        await engine.command(DEVICES, period)
        await engine.command(USERS, period)
    for name in POOLS:
        await engine.command(f"DROP TABLE {name}")


async def bytes_per_row(engine: Engine) -> list[list[Any]]:
    """[table, rows, bytes on disk, bytes per row] of what is stored now."""
    return await engine.query(
        "SELECT table, sum(rows) AS n, sum(bytes_on_disk), round(sum(bytes_on_disk) / n, 1) FROM system.parts "
        "WHERE active AND database = currentDatabase() GROUP BY table ORDER BY table"
    )


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--months", type=float, default=12)
    parser.add_argument("--projects", type=int, default=len(PROJECT_IDS), choices=range(1, len(PROJECT_IDS) + 1))
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--until-ms", type=int, default=time.time_ns() // 1_000_000)
    parser.add_argument("--id-chars", type=int, default=12)
    parser.add_argument("--merge", action="store_true", help="merge all parts, as the engine does in time by itself")
    options = parser.parse_args()
    plan = Plan(options.events, options.months, options.projects, options.until_ms, options.id_chars)
    engine = await EmbeddedEngine.open(options.directory, memory_bytes_max=FILL_MEMORY_BYTES_MAX)
    try:
        await migrate.migrate(engine)
        began = time.perf_counter()
        await fill(engine, plan)
        print(f"inserted in {time.perf_counter() - began:.0f} s")
        if options.merge:
            for table in ("event", "session", "device", "user"):
                await engine.command(f"OPTIMIZE TABLE {table} FINAL")
            print(f"merged after {time.perf_counter() - began:.0f} s")
        for table, count, size, per_row in await bytes_per_row(engine):
            print(f"{table:10} {count:>11,} rows {size:>13,} bytes {per_row:>7} bytes per row")
    finally:
        await engine.close()


if __name__ == "__main__":
    asyncio.run(main())
