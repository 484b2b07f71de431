"""A model for Triton's Python backend that plays what its prompt says; imported by the real server only.

The prompt is JSON: how many `words` to give, `pause_s` before each, `prefill_s` before the first, `fail_at` which word
to fail and with what `error`, `split` to cut texts inside characters, `repeat` to give all text so far each time. A
prompt that is no JSON gets as many words as are asked for. The model's configuration tells the words, how often to look
whether a request is still wanted, and the file for notes of what became of requests, by the machine's monotonic clock.
"""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
import triton_python_backend_utils as pb  # type: ignore[import-not-found]  # the server brings it

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Sender(Protocol):
    """What answers one request."""

    def send(self, response: object = None, flags: int = 0) -> None: ...

    def is_cancelled(self) -> bool: ...


class Request(Protocol):
    """One request."""

    def request_id(self) -> str: ...

    def get_response_sender(self) -> Sender: ...


class Script:
    """What one request is to see."""

    def __init__(self, asked: Mapping[str, object]) -> None:
        try:
            wish = json.loads(str(asked.get("text_input", "")))
        except ValueError:
            wish = {}
        self.words: int = wish.get("words", _limit(asked))
        self.pause_s: float = wish.get("pause_s", 0.0)
        self.prefill_s: float = wish.get("prefill_s", 0.0)
        self.fail_at: int | None = wish.get("fail_at")
        self.error: str = wish.get("error", "the model broke")
        self.splits: bool = wish.get("split", False)
        self.repeats: bool = wish.get("repeat", False)


class TritonPythonModel:
    """What the backend calls; the name is given."""

    def initialize(self, args: Mapping[str, str]) -> None:
        config = json.loads(args["model_config"])
        told = {name: given["string_value"] for name, given in config["parameters"].items()}
        self.log = Path(told["log"])
        self.words: list[str] = json.loads(told["words"])
        self.look_s = float(told["look_s"])
        self.inputs: set[str] = {given["name"] for given in config["input"]}
        self.outputs: set[str] = {given["name"] for given in config["output"]}
        self.is_decoupled: bool = config["model_transaction_policy"]["decoupled"]
        self.lock = threading.Lock()
        self.stopped: set[str] = set()

    def execute(self, requests: Sequence[Request]) -> list[object] | None:
        if not self.is_decoupled:
            return [self.whole(request) for request in requests]
        for request in requests:
            asked, sender = self.asked(request), request.get_response_sender()
            if asked.get("stop"):
                self.stopped.add(request.request_id())
                sender.send(flags=pb.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
            else:
                threading.Thread(target=self.stream, args=(sender, request.request_id(), asked)).start()
        return None

    def asked(self, request: Request) -> dict[str, object]:
        """Return the first element of each input that was given."""
        found: dict[str, object] = {}
        for name in self.inputs:
            tensor = pb.get_input_tensor_by_name(request, name)
            if tensor is not None:
                value = tensor.as_numpy().reshape(-1)[0]
                found[name] = value.decode() if isinstance(value, bytes) else value.item()
        self.note("asked", request.request_id(), found)
        return found

    def whole(self, request: Request) -> object:
        """Answer in one piece: a text, or a vector for each text."""
        asked = self.asked(request)
        script = Script(asked)
        time.sleep(script.prefill_s)
        if script.fail_at is not None:
            raise ValueError(script.error)
        if "embedding" in self.outputs:
            texts = pb.get_input_tensor_by_name(request, "text_input").as_numpy().reshape(-1)
            rows = np.array([[len(text), text.count(b"a")] for text in texts], dtype=np.float32)
            return pb.InferenceResponse([pb.Tensor("embedding", rows)])
        words = (self.words[n % len(self.words)] for n in range(script.words))
        return self.response("".join(words).encode(), asked, is_last=True)

    def stream(self, sender: Sender, request_id: str, asked: Mapping[str, object]) -> None:
        """Play the script of one request to whatever end."""
        try:
            self.note(self.play(sender, request_id, asked), request_id)
        finally:
            sender.send(flags=pb.TRITONSERVER_RESPONSE_COMPLETE_FINAL)

    def play(self, sender: Sender, request_id: str, asked: Mapping[str, object]) -> str:
        """Return how it ended."""
        script, so_far = Script(asked), b""
        for n in range(script.words):
            end = self.passed(script.pause_s if n else script.prefill_s, sender, request_id)
            if end:
                return end
            if script.fail_at == n:
                sender.send(_failure(script.error))
                return "failed"
            word = self.words[n % len(self.words)].encode()
            so_far += word
            for piece in [so_far] if script.repeats else [word[:-1], word[-1:]] if script.splits else [word]:
                sender.send(self.response(piece, asked, is_last=n == script.words - 1))
        return "done"

    def passed(self, seconds: float, sender: Sender, request_id: str) -> str | None:
        """Let time pass; return how the request ended meanwhile, if it did."""
        until = _now() + seconds
        while True:
            if sender.is_cancelled():
                return "cancelled"
            if request_id in self.stopped:
                sender.send(_failure("Request cancelled by client"))
                return "stopped"
            left = until - _now()
            if left <= 0:
                return None
            time.sleep(min(left, self.look_s))

    def response(self, text: bytes, asked: Mapping[str, object], *, is_last: bool) -> object:
        tensors = [_text("text_output", text)]
        if asked.get("return_finish_reason"):
            tensors.append(_text("finish_reason", b"length" if is_last else b"None"))
        if asked.get("return_num_output_tokens"):
            tensors.append(pb.Tensor("num_output_tokens", np.array([1], dtype=np.int32)))
        return pb.InferenceResponse(tensors)

    def note(self, what: str, request_id: str, more: object = None) -> None:
        line = json.dumps({"what": what, "id": request_id, "at": _now(), "more": more})
        with self.lock, self.log.open("a", encoding="utf-8") as log:
            log.write(f"{line}\n")


def _limit(asked: Mapping[str, object]) -> int:
    if "sampling_parameters" in asked:
        return cast("int", json.loads(str(asked["sampling_parameters"]))["max_tokens"])
    return cast("int", asked.get("max_tokens", asked.get("sampling_param_max_tokens", 16)))


def _text(name: str, text: bytes) -> object:
    return pb.Tensor(name, np.array([text], dtype=np.object_))


def _failure(words: str) -> object:
    return pb.InferenceResponse(error=pb.TritonError(words))


def _now() -> float:
    return time.clock_gettime(time.CLOCK_MONOTONIC)
