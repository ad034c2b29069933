"""How long enrichment takes: per call when the answer is remembered and when it is not, and to load each module.

Run it with `python benchmarks/enrich.py`; inputs are the recorded cases of tests/vectors.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from vemetric.enrich import bots, client, geo, page, referrer, user_agent  # noqa: E402
from vemetric.model import ids  # noqa: E402
from vemetric.model.device import Device  # noqa: E402

SECONDS_PER_FIGURE = 0.5
MODULES = ("page", "referrer", "user_agent", "bots", "client", "geo")


def cases(name: str) -> list[Any]:
    return [case["in"] for case in json.loads((ROOT / "tests" / "vectors" / f"{name}.json").read_text())]


def microseconds(call: Callable[[Any], object], inputs: Iterable[Any]) -> float:
    """The mean time of one call over the inputs, repeated for a while."""
    listed = list(inputs)
    calls, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < SECONDS_PER_FIGURE:
        for one in listed:
            call(one)
        calls += len(listed)
    return elapsed / calls * 1e6


def show(name: str, cost: float) -> None:
    print(f"{name:44} {cost:9.2f} us {1e6 / cost:12,.0f} /s")


def measure_calls() -> None:
    urls = [case["url"] for case in cases("url") if case["url"]]
    clients = [case["headers"] for case in cases("device")]
    agents = [case["userAgent"] or "" for case in cases("bots")]
    people = [headers.get("user-agent", "") for headers in clients]
    hits = [("mysite.com", case.get("url") or "", case.get("param") or "") for case in cases("referrer")]
    places = geo.Places.open()
    trusted = client.TrustedProxies("10.0.0.0/8")
    forwarded = {"x-forwarded-for": "198.51.100.9, 203.0.113.7, 10.0.0.2"}

    show("page.parse, remembered", microseconds(page.parse, urls))
    show("page.parse, new", microseconds(page._read, urls))
    show("referrer.from_source, remembered", microseconds(lambda hit: referrer.from_source(*hit), hits))
    show("referrer.from_source, new", microseconds(lambda hit: referrer._from_source(*hit), hits))
    show("user_agent.device, remembered", microseconds(user_agent.device, clients))
    show("user_agent.device, new", microseconds(lambda text: user_agent._device.__wrapped__(text, None), people))
    show("bots.is_bot, remembered", microseconds(bots.is_bot, agents))
    show("bots.is_bot, new program", microseconds(bots._match, agents))
    show("bots.is_bot, new person", microseconds(bots._match, people))
    show(
        "client.client_ip, nobody trusted",
        microseconds(lambda ip: client.client_ip(ip, {}, client.NOBODY), ["8.8.8.8"]),
    )
    show(
        "client.client_ip, behind two proxies",
        microseconds(lambda ip: client.client_ip(ip, forwarded, trusted), ["10.0.0.1"]),
    )
    show("geo.look_up, remembered", microseconds(places.look_up, ["8.8.8.8", "193.0.6.139"]))
    show("geo.look_up, new", microseconds(places._look_up, ["8.8.8.8", "193.0.6.139", "2a00:1450:4001::1"]))
    show("ids.random_id", microseconds(ids.random_id, [21]))
    show(
        "ids.fingerprint_user_id", microseconds(lambda ua: ids.fingerprint_user_id(1, "8.8.8.8", ua, "s" * 21), people)
    )
    show("ids.device_id", microseconds(lambda device: ids.device_id(1, 2, device), [Device()]))


def measure_loading() -> None:
    """Import each module, and its first call, in a process of its own."""
    first_calls = {
        "user_agent": "user_agent.warm_up()",
        "bots": "bots.is_bot('curl')",
        "referrer": "referrer.sites()",
        "geo": "geo.Places.open().look_up('8.8.8.8')",
    }
    for module in MODULES:
        script = (
            "import time; start = time.perf_counter()\n"
            f"from vemetric.enrich import {module}\n"
            "loaded = time.perf_counter()\n"
            f"{first_calls.get(module, 'pass')}\n"
            "print((loaded - start) * 1e3, (time.perf_counter() - loaded) * 1e3)"
        )
        ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
        loading, first = map(float, ran.stdout.split())
        print(f"{'load enrich.' + module:44} {loading:9.1f} ms, first call {first:6.1f} ms")


if __name__ == "__main__":
    measure_calls()
    measure_loading()
