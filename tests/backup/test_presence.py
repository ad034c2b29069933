"""A directory that no server works with is told from one that holds, or is about to hold, all stores."""

import fcntl
from pathlib import Path

import pytest

from vemetric import config, errors
from vemetric.backup import before, presence
from vemetric.config import Config

SERVERS = {
    "DATABASE_URL": "postgresql://db.example.com/vemetric",
    "REDIS_URL": "redis://redis.example.com",
    "CLICKHOUSE_URL": "http://clickhouse.example.com:8123/vemetric",
}


def settings(data_dir: Path, **environ: str) -> Config:
    return config.load({"VEMETRIC_DATA_DIR": str(data_dir), **environ})[0]


def fill(data_dir: Path, *names: str) -> None:
    for name in names:
        (data_dir / name).parent.mkdir(parents=True, exist_ok=True)
        (data_dir / name).touch()


def test_whatever_the_settings_keep_there_must_be_there(tmp_path: Path) -> None:
    assert presence.is_new(settings(tmp_path / "none"))
    with pytest.raises(errors.Misconfigured, match="does not exist"):
        presence.require(settings(tmp_path / "none"))
    assert presence.is_new(settings(tmp_path))
    with pytest.raises(errors.Misconfigured, match="holds no data"):
        presence.require(settings(tmp_path))
    fill(tmp_path, "analytics/format.json", "queue.db")
    assert not presence.is_new(settings(tmp_path))
    with pytest.raises(errors.Misconfigured, match=r"there is analytics and queue\.db, but no vemetric\.db"):
        presence.require(settings(tmp_path))
    presence.require(settings(tmp_path, DATABASE_URL=SERVERS["DATABASE_URL"]))
    fill(tmp_path, "vemetric.db")
    presence.require(settings(tmp_path))


def test_with_all_stores_on_servers_nothing_need_be_there(tmp_path: Path) -> None:
    presence.require(settings(tmp_path / "none", **SERVERS))
    assert not presence.is_new(settings(tmp_path / "none", **SERVERS))


def test_a_directory_that_somebody_is_making_is_in_use(tmp_path: Path) -> None:
    fill(tmp_path, "analytics/lock")
    with (tmp_path / "analytics" / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(errors.InUse):
            presence.require(settings(tmp_path))
    with pytest.raises(errors.Misconfigured):
        presence.require(settings(tmp_path))


@pytest.mark.parametrize(
    "name", [f"{before.INCOMING}/{before.WHOLE_NAME}", f"{before.FOLDER_NAME}/{before.GOING_BACK_NAME}"]
)
def test_what_is_being_moved_into_place_is_for_the_start_to_tell(tmp_path: Path, name: str) -> None:
    fill(tmp_path, name)
    presence.require(settings(tmp_path))
    assert not presence.is_new(settings(tmp_path))
