"""Clients as their headers tell them: the common ones by name, the odd ones without surprises."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vemetric.enrich import browsers, client_hints, device_types, systems, user_agent
from vemetric.model.device import Device

WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
ANDROID = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) "
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
CHROME_BRANDS = '"Not)A;Brand";v="8", "Chromium";v="138", "Google Chrome";v="138"'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (WINDOWS + "Chrome/138.0.0.0 Safari/537.36", ("Windows", "10", "Chrome", "138.0.0.0", "desktop")),
        (WINDOWS + "Chrome/138.0.0.0 Safari/537.36 Edg/138.0.1.2", ("Windows", "10", "Edge", "138.0.1.2", "desktop")),
        (WINDOWS + "Chrome/138.0.0.0 Safari/537.36 OPR/120.0.0.0", ("Windows", "10", "Opera", "120.0.0.0", "desktop")),
        (WINDOWS + "Chrome/114.0.0.0 Safari/537.36 Vivaldi/6.1", ("Windows", "10", "Vivaldi", "6.1", "desktop")),
        (MAC + "Version/17.5 Safari/605.1.15", ("macOS", "10.15.7", "Safari", "17.5", "desktop")),
        (IPHONE + "Version/17.5 Mobile/15E148 Safari/604.1", ("iOS", "17.5", "Mobile Safari", "17.5", "mobile")),
        (IPHONE + "CriOS/126.0.1 Mobile/15E148 Safari/604.1", ("iOS", "17.5", "Mobile Chrome", "126.0.1", "mobile")),
        (IPHONE + "FxiOS/127.0 Mobile/15E148 Safari/605.1.15", ("iOS", "17.5", "Mobile Firefox", "127.0", "mobile")),
        (
            "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
            "Version/16.6 Mobile/15E148 Safari/604.1",
            ("iOS", "16.6", "Mobile Safari", "16.6", "tablet"),
        ),
        (ANDROID + "Chrome/138.0.0.0 Mobile Safari/537.36", ("Android", "10", "Mobile Chrome", "138.0.0.0", "mobile")),
        (ANDROID + "Chrome/138.0.0.0 Safari/537.36", ("Android", "10", "Chrome", "138.0.0.0", "tablet")),
        (
            ANDROID + "SamsungBrowser/27.0 Chrome/125.0.0.0 Mobile Safari/537.36",
            ("Android", "10", "Samsung Internet", "27.0", "mobile"),
        ),
        (
            "Mozilla/5.0 (Linux; Android 13; Pixel 7 Build/TQ3A; wv) AppleWebKit/537.36 (KHTML, like Gecko) "
            "Version/4.0 Chrome/114.0.1.2 Mobile Safari/537.36",
            ("Android", "13", "Chrome WebView", "114.0.1.2", "mobile"),
        ),
        (
            "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
            ("Ubuntu", "Unknown", "Firefox", "127.0", "desktop"),
        ),
        (
            "Mozilla/5.0 (Android 14; Mobile; rv:127.0) Gecko/127.0 Firefox/127.0",
            ("Android", "14", "Mobile Firefox", "127.0", "mobile"),
        ),
        (
            "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 "
            "Safari/537.36",
            ("Chrome OS", "14541.0.0", "Chrome", "126.0.0.0", "desktop"),
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko",
            ("Windows", "10", "IE", "11.0", "desktop"),
        ),
        (
            "Mozilla/5.0 (SMART-TV; LINUX; Tizen 6.0) AppleWebKit/537.36 (KHTML, like Gecko) 76.0.3809.146/6.0 "
            "TV Safari/537.36",
            ("Tizen", "6.0", "Safari", "1", "smarttv"),
        ),
        (
            "Mozilla/5.0 (PlayStation; PlayStation 5/2.26) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.0 "
            "Safari/605.1.15",
            ("PlayStation", "5", "Safari", "13.0", "console"),
        ),
        (
            "Mozilla/5.0 (X11; Linux x86_64; Quest 3) AppleWebKit/537.36 (KHTML, like Gecko) OculusBrowser/31.4 "
            "Chrome/120.0 VR Safari/537.36",
            ("Linux", "Unknown", "Oculus Browser", "31.4", "xr"),
        ),
    ],
)
def test_browsers(text: str, expected: tuple[str, str, str, str, str]) -> None:
    found = user_agent.device({"user-agent": text})
    named = (found.os_name, found.os_version, found.client_name, found.client_version, found.device_type)
    assert named == expected
    assert found.client_type == "browser"


@pytest.mark.parametrize(
    "text", ["", "curl/8.5.0", "vemetric-python/0.2.0", "vemetric-go/0.2.0", "GuzzleHttp/7", "okhttp/4.12.0"]
)
def test_servers(text: str) -> None:
    assert user_agent.device({"user-agent": text}) == Device()


def test_no_headers_at_all() -> None:
    assert user_agent.device({}) == Device()


@pytest.mark.parametrize(
    ("version", "expected"), [('"15.0.0"', "11"), ('"13.0.0"', "11"), ('"10.0.0"', "10"), ('"0.3.0"', "10"), ("", "10")]
)
def test_windows_11_shows_in_the_platform_version_only(version: str, expected: str) -> None:
    headers = {
        "user-agent": WINDOWS + "Chrome/138.0.0.0 Safari/537.36",
        "sec-ch-ua": CHROME_BRANDS,
        "sec-ch-ua-platform": '"Windows"',
        "sec-ch-ua-platform-version": version,
    }
    assert user_agent.device(headers).os_version == expected


def test_a_brand_names_the_browser_that_the_user_agent_hides() -> None:
    headers = {
        "user-agent": WINDOWS + "Chrome/138.0.0.0 Safari/537.36",
        "sec-ch-ua": '"Not)A;Brand";v="8", "Chromium";v="138", "Brave";v="138"',
    }
    found = user_agent.device(headers)
    assert (found.client_name, found.client_version) == ("Brave", "138.0.0.0")


@pytest.mark.parametrize("brand", ["Chromium", "Win32", "`Chrome`", "content_shell"])
def test_a_brand_that_says_nothing_is_passed_over(brand: str) -> None:
    headers = {
        "user-agent": WINDOWS + "Chrome/138.0.0.0 Safari/537.36 OPR/120.0.0.0",
        "sec-ch-ua": f'"{brand}";v="1"',
    }
    assert user_agent.device(headers).client_name == "Opera"


@pytest.mark.parametrize(
    ("factors", "mobile", "expected"),
    [
        ('"Tablet"', "?0", "tablet"),
        ('"XR", "Mobile"', "?1", "xr"),
        ('"Automotive"', "?0", "embedded"),
        ('"Watch"', "?1", "wearable"),
        ("", "?1", "mobile"),
        ("", "?0", "tablet"),
    ],
)
def test_hints_decide_the_kind_of_device(factors: str, mobile: str, expected: str) -> None:
    headers = {
        "user-agent": ANDROID + "Chrome/138.0.0.0 Safari/537.36",
        "sec-ch-ua-form-factors": factors,
        "sec-ch-ua-mobile": mobile,
    }
    assert user_agent.device(headers).device_type == expected


@pytest.mark.parametrize(
    ("brands", "expected"),
    [
        ('"Chromium";v="119", "Google Chrome";v="119", "Lighthouse";v="11.5.0"', ("Lighthouse", "11.5.0")),
        ('"Microsoft Edge";v="103", "Microsoft Edge WebView2";v="104"', ("Edge WebView2", "104")),
        ('"OperaMobile";v="87", "Opera";v="117"', ("Opera Mobi", "87")),
        ('"Android WebView";v="123", "Not:A-Brand";v="8", "Chromium";v="123"', ("Chrome WebView", "123")),
        ('"Not A;Brand";v="99"', None),
        ("garbage", ("garbage", "")),
        ('"unclosed', ("unclosed", "")),
    ],
)
def test_brands(brands: str, expected: tuple[str, str] | None) -> None:
    hints = client_hints.read(("", brands, "", "", "", "", ""))
    assert hints.browser == expected


def test_each_rule_compiles_and_only_the_first_500_characters_count() -> None:
    assert browsers.find("") is None
    assert systems.find("") is None
    assert device_types.find("") == ""
    padded = "x" * user_agent.USER_AGENT_CHARACTERS_MAX + " Chrome/1.0"
    assert user_agent.device({"user-agent": padded}) == Device()


ANY_TEXT = st.text(st.characters(codec=None))


@given(st.dictionaries(st.sampled_from(["user-agent", *client_hints.HEADERS]), ANY_TEXT))
def test_no_headers_raise(headers: dict[str, str]) -> None:
    found = user_agent.device(headers)
    assert found.client_type in ("browser", "server")
    "".join(msgspec.structs.astuple(found)).encode()


@given(ANY_TEXT, st.sampled_from(["Chrome/", "(Linux; Android ", "(Windows NT ", "Opera/", "iPhone OS ", "Version/"]))
def test_no_user_agent_raises(text: str, token: str) -> None:
    user_agent.device({"user-agent": token + text})
    user_agent.device({"user-agent": text + token, "sec-ch-ua": f'"{token}";v="{text}"'})
    user_agent.device({"user-agent": text * 1000})
