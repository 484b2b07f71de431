"""The subjects that ship with the kit, by the name that `--adapter` takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .llamacpp import LLAMACPP
from .mock import MockSubject
from .openai import OPENAI, OPENAI_RESPONSES
from .tgi import TGI
from .triton import TRITON, TRITON_CLASSIC, TRITON_GRPC, TRITON_LLM_API
from .vllm import VLLM

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.subject import Subject

SUBJECTS: Mapping[str, Subject] = {
    subject.name: subject
    for subject in (
        MockSubject(),
        LLAMACPP,
        VLLM,
        TGI,
        OPENAI,
        OPENAI_RESPONSES,
        TRITON,
        TRITON_CLASSIC,
        TRITON_GRPC,
        TRITON_LLM_API,
    )
}
