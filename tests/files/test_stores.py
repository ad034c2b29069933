"""The stores of files, one suite: the local disk, and a bucket whose service checks every signature."""

import stat
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from vemetric import config, errors
from vemetric.files import s3, store
from vemetric.files.local import LocalStore
from vemetric.files.s3 import Bucket, S3Store
from vemetric.files.store import FileStore

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


class Service:
    """Speaks enough S3 for one bucket, and refuses what is not signed as it should be."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, str]] = {}
        self.secret = SECRET
        self.moved_to = ""

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.answer)
        return app

    async def answer(self, request: web.Request) -> web.Response:
        content = await request.read()
        bucket = Bucket(f"http://{request.host}", "pictures", "eu", "key", self.secret)
        at = datetime.strptime(request.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        names = request.headers["Authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
        more = {name: request.headers[name] for name in names if name not in ("host",) and not name.startswith("x-amz")}
        signed = s3.sign(bucket, request.method, request.raw_path, content, at, more)
        if signed["authorization"] != request.headers["Authorization"]:
            return web.Response(status=403)
        if self.moved_to and self.moved_to != str(request.url):
            raise web.HTTPTemporaryRedirect(self.moved_to)
        if request.method == "PUT":
            self.objects[request.path] = (content, request.content_type)
            return web.Response()
        if request.method == "DELETE":
            self.objects.pop(request.path, None)
            return web.Response(status=204)
        found = self.objects.get(request.path)
        return web.Response(status=404) if found is None else web.Response(body=found[0])


@pytest.fixture
async def service() -> AsyncIterator[tuple[Service, str]]:
    made = Service()
    async with TestServer(made.app()) as server:
        yield made, str(server.make_url("")).rstrip("/")


@pytest.fixture(params=["local", "s3"])
def files(request: pytest.FixtureRequest, tmp_path: Path, service: tuple[Service, str]) -> FileStore:
    if request.param == "local":
        return LocalStore(tmp_path / "avatars")
    return S3Store(Bucket(service[1], "pictures", "eu", "key", SECRET), "people/ä b/")


async def test_put_get_remove(files: FileStore) -> None:
    assert await files.get("a.png") is None
    await files.put("a.png", b"one", "image/png")
    await files.put("a.png", b"two", "image/png")
    assert await files.get("a.png") == b"two"
    for _ in range(2):
        await files.remove("a.png")
    assert await files.get("a.png") is None


async def test_files_on_disk_are_their_owners_alone(tmp_path: Path) -> None:
    await LocalStore(tmp_path / "avatars").put("a.png", b"one", "image/png")
    for path in (tmp_path / "avatars", tmp_path / "avatars" / "a.png"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


async def test_a_disk_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "avatars").write_text("in the way")
    with pytest.raises(errors.Unavailable):
        await LocalStore(tmp_path / "avatars").put("a.png", b"one", "image/png")


async def test_a_bucket_keeps_type_and_prefix(service: tuple[Service, str]) -> None:
    made, url = service
    await S3Store(Bucket(url, "pictures", "eu", "key", SECRET), "avatars/").put("a.png", b"one", "image/png")
    assert made.objects == {"/pictures/avatars/a.png": (b"one", "image/png")}


async def test_a_wrong_key_is_told(service: tuple[Service, str]) -> None:
    with pytest.raises(errors.Unavailable, match="403"):
        await S3Store(Bucket(service[1], "pictures", "eu", "key", "wrong"), "").get("a.png")


async def test_a_service_that_is_away() -> None:
    with pytest.raises(errors.Unavailable):
        await S3Store(Bucket("http://127.0.0.1:9", "pictures", "eu", "key", SECRET), "").get("a.png")


async def test_a_service_that_sends_more_than_a_file_or_leads_elsewhere(service: tuple[Service, str]) -> None:
    made, url = service
    bucket = S3Store(Bucket(url, "pictures", "eu", "key", SECRET), "")
    made.objects["/pictures/a.png"] = (b"x" * (s3.FILE_BYTES_MAX + 1), "image/png")
    with pytest.raises(errors.Unavailable, match="more than"):
        await bucket.get("a.png")
    made.objects["/pictures/a.png"] = (b"x" * s3.FILE_BYTES_MAX, "image/png")
    assert len(await bucket.get("a.png") or b"") == s3.FILE_BYTES_MAX
    made.moved_to = f"{url}/pictures/a.png"
    with pytest.raises(errors.Unavailable, match="307"):
        await bucket.get("b.png")


def test_the_signature_is_the_one_of_the_documentation() -> None:
    """The example of a GET in the reference of version 4, whose Range header is signed too."""
    bucket = Bucket("https://examplebucket.s3.amazonaws.com", "", "us-east-1", "AKIAIOSFODNN7EXAMPLE", SECRET)
    at = datetime(2013, 5, 24, tzinfo=UTC)
    signed = s3.sign(bucket, "GET", "/test.txt", b"", at, {"Range": "bytes=0-9"})
    assert signed["authorization"].endswith(
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    )


def test_the_settings_choose(tmp_path: Path) -> None:
    assert isinstance(store.of(config.load({"VEMETRIC_DATA_DIR": str(tmp_path)})[0]), LocalStore)
    named = {"AWS_S3_ENDPOINT": "https://s3.example.com", "AWS_S3_AVATARS_BUCKET": "pictures"}
    assert isinstance(store.of(config.load(named)[0]), S3Store)
