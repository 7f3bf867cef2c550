"""Finding files: order of places, downloads from a real server, digests, no network."""

import gzip
import hashlib
import io
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from jgc.data import DataError, source
from jgc.data.source import Source, find_files

TEXT = b"1\n2\n"
DIGEST = hashlib.sha256(TEXT).hexdigest()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache, no folder of the user's, and pins for one file."""
    monkeypatch.delenv("JGC_DATA_DIR", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(source, "_cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(source, "_pinned", lambda: {"set/a.txt": DIGEST})
    return tmp_path / "cache"


@pytest.fixture
def server(tmp_path):
    """Address of a server of the files in `tmp_path / "public"`."""
    (tmp_path / "public").mkdir()
    handler = partial(_Quiet, directory=str(tmp_path / "public"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}"
        httpd.shutdown()
        thread.join()


def _source(*urls, files=("a.txt",), optional=()):
    return Source("set", files, optional, urls)


def test_order_of_places(tmp_path, cache, monkeypatch):
    for name in ("mine", "env", "cache"):
        (tmp_path / name / "set").mkdir(parents=True)
        (tmp_path / name / "set" / "a.txt").write_bytes(TEXT)
    monkeypatch.setenv("JGC_DATA_DIR", str(tmp_path / "env"))
    assert find_files("x", _source(), folder=tmp_path / "mine").folder == tmp_path / "mine/set"
    (tmp_path / "mine/set/a.txt").unlink()
    assert find_files("x", _source(), folder=tmp_path / "mine").folder == tmp_path / "env/set"
    (tmp_path / "env/set/a.txt").unlink()
    assert find_files("x", _source(), folder=tmp_path / "mine").folder == cache / "set"


def test_own_files_are_not_digested(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_bytes(b"changed by me")
    monkeypatch.setenv("JGC_DATA_DIR", str(tmp_path))
    assert find_files("x", _source()).read("a.txt") == b"changed by me"


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
def test_download_is_verified_and_kept(tmp_path, cache, server, packed):
    url = server + ("/{file}.gz" if packed else "/{file}")
    file = tmp_path / "public" / ("a.txt.gz" if packed else "a.txt")
    file.write_bytes(gzip.compress(TEXT) if packed else TEXT)
    files = find_files("x", _source(url))
    assert files.folder == cache / "set" and files.read("a.txt") == TEXT and files.notes == ()
    file.unlink()  # the second time comes from the cache
    assert find_files("x", _source(url)).read("a.txt") == TEXT
    assert sorted(p.name for p in cache.rglob("*")) == ["a.txt.gz" if packed else "a.txt", "set"]


def test_archive_gives_only_the_files_wanted(tmp_path, cache, server):
    with zipfile.ZipFile(tmp_path / "public" / "x.zip", "w") as archive:
        archive.writestr("../evil.txt", b"no")
        archive.writestr("deep/a.txt", TEXT)
        archive.writestr("deep/b.txt", b"3\n")
        archive.writestr("c.txt", b"unwanted")
    files = find_files("x", _source(server + "/x.zip", optional=("b.txt", "z.txt")))
    assert files.read("b.txt") == b"3\n" and files.path("z.txt") is None
    names = sorted(p.name for p in cache.rglob("*") if p.is_file())
    assert names == ["a.txt", "b.txt", "b.txt.sha256"]
    assert not list(tmp_path.rglob("evil.txt"))


def test_mirror_after_a_missing_and_a_wrong_file(tmp_path, server):
    for name, data in (("wrong", TEXT + b"!"), ("right", TEXT)):
        (tmp_path / "public" / name).mkdir()
        (tmp_path / "public" / name / "a.txt").write_bytes(data)
    urls = (server + "/absent/{file}", server + "/wrong/{file}", server + "/right/{file}")
    assert find_files("x", _source(*urls)).read("a.txt") == TEXT


@pytest.mark.parametrize("data", [TEXT[:2], b"another file"], ids=["truncated", "changed"])
def test_wrong_digest_of_a_download(tmp_path, cache, server, data):
    (tmp_path / "public" / "a.txt").write_bytes(data)
    with pytest.raises(DataError, match=f"a.txt: SHA-256 is .*, expected {DIGEST}: truncated"):
        find_files("x", _source(server + "/{file}"))
    assert not [p for p in cache.rglob("*") if p.is_file()]  # nothing wrong is kept


def test_wrong_digest_in_the_cache(cache):
    (cache / "set").mkdir(parents=True)
    (cache / "set" / "a.txt").write_bytes(TEXT[:2])
    with pytest.raises(DataError, match=f"cache/set: a.txt: SHA-256 .* {DIGEST}.*Delete the file"):
        find_files("x", _source())


def test_trust_on_first_use(tmp_path, cache, server):
    (tmp_path / "public" / "b.txt").write_bytes(TEXT)
    files = find_files("x", _source(server + "/{file}", files=("b.txt",)))
    assert files.notes == (f"b.txt: no digest is pinned; SHA-256 {DIGEST} trusted on first use.",)
    assert (cache / "set" / "b.txt.sha256").read_text() == f"{DIGEST}  b.txt\n"
    assert find_files("x", _source(files=("b.txt",))).notes == ()
    (cache / "set" / "b.txt").write_bytes(b"changed")
    with pytest.raises(DataError, match=f"expected {DIGEST}"):
        find_files("x", _source(files=("b.txt",)))


def test_damaged_archive(tmp_path, server):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.txt", TEXT * 1000)
    (tmp_path / "public" / "x.zip").write_bytes(buffer.getvalue()[:-40])
    with pytest.raises(DataError, match="x.zip: truncated or damaged .File is not a zip file"):
        find_files("x", _source(server + "/x.zip"))


def test_no_network_is_one_clear_sentence(tmp_path, cache):
    # A port that nobody listens on: the real downloader fails as it does without a network.
    with pytest.raises(DataError) as caught:
        find_files("cora", _source("http://127.0.0.1:9/{file}"), folder=tmp_path)
    message = str(caught.value)
    assert message.startswith("'cora' needs a.txt, which are in none of: ")
    for part in (
        f"{tmp_path} (given)",
        f"{cache / 'set'} (cache)",
        "http://127.0.0.1:9/{file} (ConnectionError)",
        "`export JGC_DATA_DIR=FOLDER` (as FOLDER/set/a.txt)",
    ):
        assert part in message
    assert "\n" not in message and len(message) < 700


def test_pinned_digests_are_those_of_the_raw_files(data_dir, monkeypatch):
    monkeypatch.undo()
    seen = 0
    for file, digest in source._pinned().items():
        folder, _, name = file.rpartition("/")
        files = source.Files(data_dir / folder)
        if files.path(name):
            assert hashlib.sha256(files.read(name)).hexdigest() == digest
            seen += 1
    assert seen == 73
