"""Broken in what holds for every answer: ids, routes, methods, errors."""

from __future__ import annotations

from conformance.service.zoo import Service
from conformance.service.zoo_wire import Answer, Asked, json_answer


class ForgetsTheIdOnErrors(Service):
    """A refusal has a correlation id of its own, not the request's."""

    def correlation(self, asked: Asked) -> str:
        return "" if asked.body == b"{" or "no-such" in asked.path else super().correlation(asked)


class OneIdForAll(Service):
    """A request without an id always gets the same."""

    def correlation(self, asked: Asked) -> str:
        return asked.headers.get("x-correlation-id", "")[:128] or "6f1c2a54-9d0e-4a53-8f7e-1f0b7d3c2a10"


class CutsALongId(Service):
    """A correlation id that is too long is cut and not replaced."""

    def correlation(self, asked: Asked) -> str:
        given = asked.headers.get("x-correlation-id", "")
        return given[:128] if len(given) > 128 else super().correlation(asked)


class PagesOfItsFramework(Service):
    """An unknown path is answered with a page in HTML."""

    def answer(self, asked: Asked) -> Answer:
        got = super().answer(asked)
        is_path = b"no such route" in got.body
        return Answer(404, b"<h1>Not Found</h1>", (("Content-Type", "text/html"),)) if is_path else got


class ServesReplicaSets(Service):
    """A route that was removed before 1.0 is still there."""

    def answer(self, asked: Asked) -> Answer:
        return json_answer({}) if asked.path == "/v1/replicasets" else super().answer(asked)


class CancelsWhatItDoesNotKnow(Service):
    """A cancel of an unknown task is acknowledged."""

    def about_task(self, asked: Asked, id: str) -> Answer:
        got = super().about_task(asked, id)
        return Answer(204) if got.status == 404 and asked.method == "POST" else got


class WrongMediaType(Service):
    """Metrics go out as JSON, it says."""

    def telling(self, path: str, id: str) -> Answer:
        got = super().telling(path, id)
        return Answer(got.status, got.body, (("Content-Type", "application/json"),)) if path == "/metrics" else got


class NoAllow(Service):
    """A 405 does not say what is served."""

    def served(self, asked: Asked, methods: tuple[str, ...], id: str) -> Answer:
        got = super().served(asked, methods, id)
        return Answer(405, got.body, got.headers[:1]) if got.status == 405 else got


class MuteOptions(Service):
    """OPTIONS is answered without Allow."""

    def served(self, asked: Asked, methods: tuple[str, ...], id: str) -> Answer:
        return Answer(204) if asked.method == "OPTIONS" else super().served(asked, methods, id)


class NoHead(Service):
    """HEAD is not served."""

    def head(self, asked: Asked, id: str) -> Answer:
        return self.error("INVALID_PARAMS", "HEAD is not served", status=405, headers=(("Allow", "GET"),))


class HeadReads(Service):
    """HEAD of a stream attaches a reader, whose leaving cancels the task."""

    def head(self, asked: Asked, id: str) -> Answer:
        got = super().head(asked, id)
        if asked.path.endswith("/stream") and id in self.tasks:
            self.cancel(self.tasks[id])
        return got


class CodeOfItsOwn(Service):
    """A body that is no JSON is answered with a code that no document knows."""

    def admit(self, asked: Asked) -> Answer:
        got = super().admit(asked)
        return json_answer({"code": "BAD_JSON", "message": "no JSON"}, 400) if b"not JSON" in got.body else got


class StatusOfItsOwn(Service):
    """A model that is not there is a 404."""

    def place(self, body: dict[str, object]) -> Answer | None:
        got = super().place(body)
        return Answer(404, got.body, got.headers) if got is not None and got.status == 503 else got


class RetriesAtOnce(Service):
    """Retry-After is rounded down, to 0."""

    def no_room(self, wait_ms: int) -> Answer:
        got = super().no_room(wait_ms)
        return Answer(got.status, got.body, tuple((n, "0" if n == "Retry-After" else v) for n, v in got.headers))


class SilentAboutRetries(Service):
    """An error does not say `retriable: false`."""

    def not_found(self, message: str) -> Answer:
        return json_answer({"code": "NOT_FOUND", "message": message}, 404)


class RetriesAreAlwaysWelcome(Service):
    """A wrong request is said to be worth another try."""

    def error(
        self, code: str, message: str, status: int = 0, headers: tuple[tuple[str, str], ...] = (), **more: object
    ) -> Answer:
        is_wrong = code == "INVALID_PARAMS"
        return super().error(code, message, status, headers, **({**more, "retriable": True} if is_wrong else more))


class NoPolicy(Service):
    """A 429 does not say whose decision it was."""

    def no_room(self, wait_ms: int) -> Answer:
        return self.error("ADMISSION_REJECT", "full", headers=self.when_to_come(wait_ms), retry_after_ms=wait_ms)
