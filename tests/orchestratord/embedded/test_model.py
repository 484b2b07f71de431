import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from orchestratord.embedded import model as model_module
from orchestratord.embedded.model import bundled_model, require_extra, user_model
from orchestratord.embedded.reports import EngineUnavailable, Step
from tests.orchestratord.embedded.support import Reports

PARTS = (b"GGUF" + b"a" * 50, b"b" * 40)


@dataclass
class TwoParts:
    folder: Path
    EXPECTED_SHA256: str = hashlib.sha256(b"".join(PARTS)).hexdigest()

    def chunk_paths(self) -> Sequence[Path]:
        paths = [self.folder / f"part{number}" for number in range(len(PARTS))]
        for path, content in zip(paths, PARTS, strict=True):
            path.write_bytes(content)
        return paths

    def default_output_path(self) -> Path:
        return self.folder / "small.gguf"


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_module, "_BLOCK_BYTES", 16)


async def test_the_first_start_joins_the_parts_and_shows_how_far_it_is(tmp_path: Path) -> None:
    reports = Reports()
    model = await bundled_model(reports, TwoParts(tmp_path))
    assert model.path.read_bytes() == b"".join(PARTS)
    assert (model.name, model.digest) == ("small", f"sha256:{TwoParts(tmp_path).EXPECTED_SHA256}")
    fractions = [progress.fraction for progress in reports.of(Step.ASSEMBLING)]
    assert len(fractions) == 7
    assert fractions[-1] == 1


async def test_the_second_start_only_verifies(tmp_path: Path) -> None:
    await bundled_model(Reports(), TwoParts(tmp_path))
    reports = Reports()
    await bundled_model(reports, TwoParts(tmp_path))
    assert {progress.step for progress in reports.seen} == {Step.VERIFYING}


async def test_a_damaged_file_is_written_again(tmp_path: Path) -> None:
    (tmp_path / "small.gguf").write_bytes(b"half")
    model = await bundled_model(Reports(), TwoParts(tmp_path))
    assert model.path.read_bytes() == b"".join(PARTS)


async def test_damaged_parts_are_refused_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="damaged"):
        await bundled_model(Reports(), TwoParts(tmp_path, EXPECTED_SHA256="0" * 64))
    assert names_in(tmp_path) == ["part0", "part1"]


async def test_a_cancel_in_the_middle_leaves_nothing_to_repair(tmp_path: Path) -> None:
    with trio.CancelScope() as scope:
        await bundled_model(lambda _: scope.cancel(), TwoParts(tmp_path))
    assert scope.cancelled_caught
    assert names_in(tmp_path) == ["part0", "part1"]


async def test_a_folder_that_cannot_be_written_says_what_else_to_do(tmp_path: Path) -> None:
    bundle = TwoParts(tmp_path)
    bundle.default_output_path = lambda: tmp_path / "missing" / "small.gguf"  # type: ignore[method-assign]
    with pytest.raises(EngineUnavailable, match=r"cannot be written: .*--model FILE\.gguf"):
        await bundled_model(Reports(), bundle)


async def test_a_users_file_gets_its_digest(tmp_path: Path) -> None:
    (tmp_path / "mine.gguf").write_bytes(PARTS[0])
    model = await user_model(tmp_path / "mine.gguf", Reports())
    assert model.digest == f"sha256:{hashlib.sha256(PARTS[0]).hexdigest()}"


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("x.gguf", b"PK\x03\x04", "is not a GGUF model file"),
        ("none.gguf", None, "cannot read the model .*: no such file"),
    ],
)
async def test_a_file_that_is_no_model_is_refused(tmp_path: Path, name: str, content: bytes | None, told: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(EngineUnavailable, match=told):
        await user_model(tmp_path / name, Reports())


def test_without_the_extra_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_module, "find_spec", lambda _: None)
    with pytest.raises(EngineUnavailable, match=r"pip install 'orchestratord\[embedded\]'\n.*--mock"):
        require_extra()
