"""The address that is shown to people."""

import pytest

from vemetric import config, public_url


def of(port: int | None = None, **environ: str) -> str:
    return public_url.of(config.load({f"VEMETRIC_{name}": value for name, value in environ.items()})[0], port)


@pytest.mark.parametrize(
    ("listen", "shown"),
    [
        ("127.0.0.1:4000", "http://127.0.0.1:4000"),
        ("127.0.0.1:80", "http://127.0.0.1"),
        ("localhost:443", "http://localhost:443"),
        ("[::1]:4000", "http://[::1]:4000"),
        ("[::1]:80", "http://[::1]"),
    ],
)
def test_is_where_it_listens(listen: str, shown: str) -> None:
    assert of(LISTEN=listen) == shown


def test_a_setting_is_believed() -> None:
    assert of(PUBLIC_URL="https://stats.example.com/", LISTEN="127.0.0.1:4000") == "https://stats.example.com"


def test_the_base_path_is_part_of_it() -> None:
    assert of(LISTEN="127.0.0.1:80", BASE_PATH="/stats") == "http://127.0.0.1/stats"
    assert of(PUBLIC_URL="https://example.com", BASE_PATH="/stats") == "https://example.com/stats"


def test_a_port_chosen_by_the_system_is_told() -> None:
    assert of(51234, LISTEN="127.0.0.1:0") == "http://127.0.0.1:51234"


@pytest.mark.parametrize("listen", ["0.0.0.0:4000", "[::]:4000"])
def test_every_interface_is_shown_as_one(listen: str) -> None:
    shown = of(LISTEN=listen)
    assert shown.endswith(":4000")
    assert "0.0.0.0" not in shown
    assert "[::]" not in shown
