"""Broken in what they tell of themselves, and to whom."""

from __future__ import annotations

import base64

import msgspec

from conformance.service.zoo import Service
from conformance.service.zoo_wire import Answer, Asked


class OpenMetrics(Service):
    """/metrics asks nobody for the token."""

    def authorize(self, asked: Asked) -> Answer | None:
        return None if asked.path == "/metrics" else super().authorize(asked)


class BeginsRight(Service):
    """A token is compared as far as it goes."""

    def is_right(self, authorization: str) -> bool:
        return len(authorization) > 12 and f"Bearer {self.secret}".startswith(authorization)


class AnyScheme(Service):
    """The scheme is not looked at."""

    def is_right(self, authorization: str) -> bool:
        return authorization.partition(" ")[2] == self.secret


class ClosedProbes(Service):
    """The probes ask for the token."""

    def authorize(self, asked: Asked) -> Answer | None:
        return super().authorize(Asked(asked.method, f"/probe{asked.target}", asked.headers, 0))


class NoVersion(Service):
    """Capabilities do not name the version of the API."""

    def capabilities(self) -> dict[str, object]:
        return {"engines": super().capabilities()["engines"]}


class VagueHealth(Service):
    """A pool's readiness is a word."""

    def health(self) -> dict[str, object]:
        return {**super().health(), "ready": "yes"}


class NotReady(Service):
    """/readyz says 503 while tasks are taken."""

    def telling(self, path: str, id: str) -> Answer:
        got = super().telling(path, id)
        return Answer(503, got.body, got.headers) if path == "/readyz" else got


class MetricOfItsOwn(Service):
    """A library exports a metric of its own."""

    def metrics(self) -> str:
        return super().metrics() + "# TYPE python_gc_objects_total counter\npython_gc_objects_total 1\n"


class LabelTooFew(Service):
    """A metric has lost a label."""

    def labels(self, name: str) -> dict[str, str]:
        return {label: value for label, value in super().labels(name).items() if label != "priority"}


class CountsNoTokens(Service):
    """Tokens are not counted."""

    def count(self, name: str, by: int = 1) -> None:
        super().count(name, 0 if name == "tokens_out_total" else by)


class TellsTheTask(Service):
    """A label has the id of the last task."""

    def labels(self, name: str) -> dict[str, str]:
        return {**super().labels(name), "replica_id": next(reversed(self.tasks), "r0")}


class QuotesTheBody(Service):
    """A body that does not parse is quoted."""

    def admit(self, asked: Asked) -> Answer:
        got = super().admit(asked)
        said = f"the body is not JSON: {asked.body.decode('utf-8', 'replace')}"
        return self.error("INVALID_PARAMS", said) if b"not JSON" in got.body else got


class QuotesTheToken(Service):
    """A wrong token is told, in part."""

    def authorize(self, asked: Asked) -> Answer | None:
        got = super().authorize(asked)
        given = asked.headers.get("authorization", "")
        return got and self.error(str(_read(got)["code"]), f"not {given[:24]}..., that one")


class QuotesTheQuery(Service):
    """An unknown path is told with its query."""

    def answer(self, asked: Asked) -> Answer:
        got = super().answer(asked)
        return self.not_found(f"no route {asked.target}") if b"no such route" in got.body else got


class TellsItsToken(Service):
    """A refusal says, in base64, which token would have been right."""

    def error(
        self, code: str, message: str, status: int = 0, headers: tuple[tuple[str, str], ...] = (), **more: object
    ) -> Answer:
        hint = base64.b64encode(f"wanted {self.secret}".encode()).decode() if code == "BAD_TOKEN" else "no hint"
        return super().error(code, message, status, headers, hint=hint, **more)


def _read(answer: Answer) -> dict[str, object]:
    return msgspec.json.decode(answer.body, type=dict[str, object])
