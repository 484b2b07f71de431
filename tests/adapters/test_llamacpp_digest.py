"""The digest of the model file: right, once for each content, and never guessed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
import trio

from adapter_api import Started
from adapters.llamacpp.digest import ModelDigest
from adapters.llamacpp.server import is_this_machine
from conformance.engines.host import Link
from conformance.engines.llamacpp import LlamaSettings
from conformance.engines.llamacpp.replies import Model
from tests.adapters.rig import open_rig, read, request

pytestmark = pytest.mark.req("ADAPT-3003", "OC-ADAPT-5011")
CHUNK = 4 * 1024 * 1024
CONFIGURED = f"sha256:{'1' * 64}"


def sha256(path: Path) -> str:
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


PLENTY = 1 << 30


async def look(digest: ModelDigest, path: object, budget_bytes: int = PLENTY) -> str | None:
    await digest.advance(str(path), budget_bytes)
    return digest.of(str(path))


async def test_a_file_has_the_digest_of_its_bytes(tmp_path: Path) -> None:
    for size in (0, 1, 9_000_000):
        model = tmp_path / "m.gguf"
        model.write_bytes(os.urandom(size))
        assert await look(ModelDigest(None, may_read=True), model) == sha256(model)


async def test_a_large_file_is_hashed_by_instalments(tmp_path: Path) -> None:
    model = tmp_path / "m.gguf"
    model.write_bytes(os.urandom(13 * CHUNK // 4))
    digest = ModelDigest(None, may_read=True)
    assert [await look(digest, model, CHUNK) for _ in range(4)] == [None, None, None, sha256(model)]


async def test_a_file_that_changes_on_the_way_is_begun_again(tmp_path: Path) -> None:
    model = tmp_path / "m.gguf"
    model.write_bytes(os.urandom(2 * CHUNK))
    digest = ModelDigest(None, may_read=True)
    assert await look(digest, model, CHUNK) is None
    model.write_bytes(os.urandom(CHUNK))
    assert await look(digest, model, CHUNK) == sha256(model)


async def test_a_file_is_read_again_only_when_it_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "m.gguf"
    model.write_bytes(b"one")
    digest = ModelDigest(None, may_read=True)
    first = await look(digest, model)
    monkeypatch.setattr(Path, "open", None)  # to read it again would be an error
    assert await look(digest, model) == first
    monkeypatch.undo()
    model.write_bytes(b"another")
    assert await look(digest, model) == sha256(model) != first


async def test_hashing_that_is_cancelled_goes_on_where_it_stopped(tmp_path: Path) -> None:
    model = tmp_path / "m.gguf"
    model.write_bytes(os.urandom(3 * CHUNK))
    digest = ModelDigest(None, may_read=True)
    with trio.CancelScope() as scope:
        scope.cancel()
        await digest.advance(str(model), PLENTY)
    assert await look(digest, model) == sha256(model)


async def test_two_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    model = tmp_path / "m.gguf"
    model.write_bytes(os.urandom(8 * CHUNK))
    digest = ModelDigest(None, may_read=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(digest.advance, str(model), PLENTY)
        nursery.start_soon(digest.advance, str(model), PLENTY)
    assert digest.of(str(model)) == sha256(model)


@pytest.mark.req("OC-ADAPT-5011a")
async def test_a_configured_digest_is_told_and_no_file_is_read(tmp_path: Path) -> None:
    model = tmp_path / "m.gguf"
    model.write_bytes(b"one")
    assert await look(ModelDigest(CONFIGURED, may_read=True), model) == CONFIGURED


async def test_what_cannot_be_known_is_none(tmp_path: Path) -> None:
    part = tmp_path / "m-00001-of-00002.gguf"
    part.write_bytes(b"one")
    for path in (tmp_path / "absent.gguf", tmp_path, part, "/dev/zero", "\0", "m"):
        assert await look(ModelDigest(None, may_read=True), path) is None
    whole = tmp_path / "m.gguf"
    whole.write_bytes(b"one")
    assert await look(ModelDigest(None, may_read=False), whole) is None


async def test_another_model_is_not_told_by_the_old_digest(tmp_path: Path) -> None:
    model = tmp_path / "m.gguf"
    model.write_bytes(b"one")
    digest = ModelDigest(None, may_read=True)
    assert await look(digest, model) is not None
    assert digest.of(str(tmp_path / "other.gguf")) is None
    assert digest.of(None) is None


@pytest.mark.parametrize(
    ("url", "ours"),
    [
        ("http://127.0.0.1:8080", True),
        ("http://127.9.9.9", True),
        ("http://[::1]:1", True),
        ("http://localhost/x", True),
        ("http://10.0.0.1", False),
        ("http://localhost.example", False),
        ("http://engine", False),
    ],
)
def test_only_loopback_is_this_machine(url: str, ours: bool) -> None:
    assert is_this_machine(url) is ours


async def test_a_stream_tells_the_digest_of_an_engine_on_this_machine(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(b"weights")
    engine = LlamaSettings(model=Model(path=str(path)))
    async with open_rig(engine=engine, link=Link(name="127.0.0.1")) as rig:
        assert (await rig.adapter.capabilities()).model_digest == sha256(path)
        started = (await read(rig.adapter, request(max_tokens=1))).events[0]
        assert isinstance(started, Started)
        assert started.model_digest == sha256(path)


async def test_an_engine_elsewhere_has_no_digest(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(b"weights")
    async with open_rig(engine=LlamaSettings(model=Model(path=str(path)))) as rig:
        assert (await rig.adapter.capabilities()).model_digest is None
