"""A secret put wherever a secret can be: it shows up in no log line, metric, error body or repr."""

from __future__ import annotations

import base64
import gc
import traceback
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
import trio

from adapter_api import load_factory
from conformance.engines.llamacpp import LlamaSettings, open_llamacpp
from conformance.engines.script import Answer, Fail, Script, Text
from orchestratord.config import ConfigError
from tests.support.service import configuration, open_service, task

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from trio.testing import MockClock

    from adapter_api import AdapterContext, TaskRequest, TokenEvent, WorkerAdapter, WorkerHealth
    from orchestratord.config import Config
    from tests.support.raw_http import Reply
    from tests.support.service import Service

TOKEN = "canary-tok/en+AUTH-7f3a91c2d4"
API_KEY = "canary-key/API+5d20be81aa6c"
USER = "canaryuser"
PASSWORD = "canary-pass+URL-93be7710fe"
QUERY = "canary-query+URL-44ab01cd9e"
PROMPT = "canary prompt PRM 61c8f0aa17"
SECRETS = {"token": TOKEN, "api key": API_KEY, "password": PASSWORD, "query": QUERY, "prompt": PROMPT}
AUTHORIZED = [("Authorization", f"Bearer {TOKEN}")]
QUOTED = f"denied for {API_KEY} at {PASSWORD} with Bearer {TOKEN}"
ECHO = f"cannot parse {PROMPT!r}"


def forms(secret: str) -> Iterator[str]:
    """Give what a secret may look like in a text: as it is, and in the encodings that things get in passing."""
    raw = secret.encode()
    yield secret
    yield quote(secret, safe="")
    yield quote(secret)
    yield raw.hex()
    yield raw.hex().upper()
    for offset in range(3):  # base64 of a longer text that holds the secret, at each of the three alignments
        encoded = base64.b64encode(b"\x00" * offset + raw).decode()
        middle = encoded[4:-4] if offset else encoded[:-4]
        yield middle
        yield middle.replace("+", "-").replace("/", "_")
    yield repr(secret)[1:-1]


def leaks(text: str) -> list[str]:
    """Return which secrets the text holds, in whatever form."""
    return [
        f"{name}: …{text[max(0, text.index(form) - 80) : text.index(form) + 20]}…"
        for name, secret in SECRETS.items()
        for form in dict.fromkeys(forms(secret))
        if form in text
    ]


def shown(replies: list[Reply]) -> str:
    return "\n".join(f"{reply.headers} {reply.body.decode()}" for reply in replies)


async def look_everywhere(service: Service) -> str:
    """Ask every route that tells of the service, and return all the text there is."""
    paths = ["/v1/capabilities", "/v1/pools/default/health", "/metrics", "/livez", "/readyz"]
    replies = [await service.call("GET", path, headers=AUTHORIZED) for path in paths]
    return shown(replies) + service.log.getvalue()


def reprs(config: Config) -> str:
    """Return the repr of everything of ours that is alive."""
    ours = ("orchestratord.", "adapter_host.", "adapter_api.", "adapters.", "http_util.")
    gc.collect()
    alive = [each for each in gc.get_objects() if str(type(each).__module__).startswith(ours)]
    return "\n".join([repr(config), *(repr(each) for each in alive)])


def configured(url: str) -> Config:
    where = url.replace("http://", f"http://{USER}:{quote(PASSWORD, safe='')}@")
    settings = {"url": where, "api_key_env": "LLAMA_KEY"}
    return configuration(
        settings, engine="llamacpp", token=TOKEN, environ={"LLAMA_KEY": API_KEY}, pool={"probe_interval_ms": 200}
    )


@pytest.mark.req("HTU-1004", "AUTH-1007", "ORCH-3027", "OC-METRICS-7102a", "OC-CTRL-2029")
@pytest.mark.parametrize(
    "scripts",
    [
        [Script.of(Text("fine"))],
        [Script.of(Fail(400, "invalid_request_error", QUOTED))],
        [Script.of(Fail(500, "server_error", QUOTED))],
        [Script.of(Text("a"), Fail(500, "server_error", QUOTED, in_stream=True))],
        [Script.of(Fail(400, "invalid_request_error", ECHO))],
        [Script.of(Text("a"), Fail(500, "server_error", ECHO, in_stream=True))],
        [Script.of(Answer(502, f"<html>{QUOTED} {base64.b64encode(API_KEY.encode()).decode()}</html>".encode()))],
        [Script.of(Answer(401, QUOTED.encode(), headers=(("WWW-Authenticate", QUOTED),)))],
        [Script.of(Answer(307, b"", headers=(("Location", f"http://x/{quote(API_KEY, safe='')}"),)))],
    ],
    ids=lambda scripts: str(scripts[0].steps[-1])[:20],
)
async def test_what_an_engine_quotes_stays_secret(scripts: list[Script], autojump_clock: MockClock) -> None:
    async with open_llamacpp(LlamaSettings(slots=1), *scripts) as double:
        config = configured(double.url)
        async with open_service(config, dial=double.dial) as service:
            body = task(engine="llamacpp", prompt=PROMPT)
            admitted = await service.call("POST", "/v1/tasks", body=body, headers=AUTHORIZED)
            assert admitted.status == 202
            stream = await service.call("GET", f"/v1/tasks/{body['task_id']}/stream", headers=AUTHORIZED)
            state = await service.call("GET", f"/v1/tasks/{body['task_id']}", headers=AUTHORIZED)
            text = shown([admitted, stream, state]) + await look_everywhere(service) + reprs(config)
            assert not leaks(text)
            assert PROMPT.encode() in b"".join(seen.body for seen in double.facts.requests), "the engine got none"


@pytest.mark.req("HTU-1004", "OC-CTRL-2030b")
async def test_an_engine_that_is_refused_or_gone_tells_nothing(autojump_clock: MockClock) -> None:
    async with open_llamacpp(LlamaSettings(slots=1, api_key="another")) as double:
        config = configured(double.url)
        double.load(Script.of(Answer(500, QUOTED.encode())), path="/health")
        async with open_service(config, dial=double.dial, is_ready=False) as service:
            await trio.sleep(2)
            double.stop()
            await trio.sleep(2)
            refused = await service.call("POST", "/v1/tasks", body=task(engine="llamacpp"), headers=AUTHORIZED)
            assert refused.status == 503
            assert not leaks(shown([refused]) + await look_everywhere(service) + reprs(config))


@pytest.mark.req("AUTH-1007", "OC-CTRL-2030b")
async def test_what_a_client_puts_in_the_wrong_place_is_not_told(autojump_clock: MockClock) -> None:
    """The token in a path, a field's name, a value, an id: a mistake that people make, and that logs would keep."""
    async with open_service(configured("http://nowhere.test"), is_ready=False) as service:
        encoded = quote(TOKEN, safe="")
        asked = [
            ("GET", f"/v1/{encoded}", None),
            ("GET", f"/v1/tasks/{encoded}", None),
            ("DELETE", f"/v1/tasks/{encoded}", None),
            ("GET", f"/v1/pools/{encoded}/health", None),
            ("PUT", f"/metrics?token={encoded}", None),
            ("POST", "/v1/tasks", task(**{TOKEN: 1})),
            ("POST", "/v1/tasks", task(workload=TOKEN)),
            ("POST", "/v1/tasks", task(model_ref=TOKEN)),
            ("POST", "/v1/tasks", task(engine=TOKEN)),
            ("POST", "/v1/tasks", task(sampler_profile_version=TOKEN, engine="llamacpp")),
            ("POST", "/v1/tasks", task(placement={"mode": "pin", "pin_pool_id": TOKEN})),
        ]
        replies = [await service.call(method, path, body=body, headers=AUTHORIZED) for method, path, body in asked]
        replies.append(await service.call("GET", "/metrics", headers=[("Authorization", f"Basic {TOKEN}")]))
        replies.append(await service.call("GET", "/metrics", headers=[("Authorization", f"Bearer {TOKEN}x")]))
        assert all(reply.status >= 400 for reply in replies)
        assert not leaks(shown(replies) + service.log.getvalue())


@pytest.mark.req("HTU-1004", "OC-CONFIG-6031")
def test_a_secret_in_the_query_of_an_engine_s_address_is_refused_unsaid() -> None:
    with pytest.raises(ConfigError) as refused:
        configuration({"url": f"http://engine.test/?key={quote(QUERY, safe='')}"}, engine="llamacpp")
    assert not leaks("".join(traceback.format_exception(refused.value)))


class Breaking:
    """An engine's adapter that breaks, with secrets in everything it says."""

    engine = "mock"

    def __init__(self) -> None:
        self.settings_schema = load_factory("mock").settings_schema

    @asynccontextmanager
    async def open(self, settings: Mapping[str, object], context: AdapterContext) -> AsyncIterator[WorkerAdapter]:
        async with load_factory("mock").open(settings, context) as adapter:
            yield BreakingAdapter(adapter)  # type: ignore[misc]


class BreakingAdapter:
    def __init__(self, inner: WorkerAdapter) -> None:
        self._inner = inner
        self.cancel_support = inner.cancel_support
        self.props = inner.props
        self.capabilities = inner.capabilities
        self.looks = 0

    async def health(self) -> WorkerHealth:
        self.looks += 1
        if self.looks > 1:
            raise ValueError(QUOTED)
        return await self._inner.health()

    @asynccontextmanager
    async def submit(self, request: TaskRequest) -> AsyncIterator[AsyncIterator[TokenEvent]]:
        async with self._inner.submit(request) as events:
            yield events
        raise RuntimeError(QUOTED)


@pytest.mark.req("HTU-1004", "OC-CTRL-2032a", "ADAPT-3002")
async def test_an_exception_keeps_its_words_to_itself(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    config = configuration(
        {"api_key_env": "KEY", "script": [{"do": "started"}, {"do": "reset"}]},
        token=TOKEN,
        environ={"KEY": API_KEY},
        pool={"probe_interval_ms": 200},
    )
    async with open_service(config, factories=lambda _: Breaking()) as service:
        body = task(prompt=PROMPT)
        replies = [await service.call("POST", "/v1/tasks", body=body, headers=AUTHORIZED)]
        replies.append(await service.call("GET", f"/v1/tasks/{body['task_id']}/stream", headers=AUTHORIZED))
        await trio.sleep(1)
        monkeypatch.setattr(service.dispatcher, "find", _broken)
        replies.append(await service.call("GET", f"/v1/tasks/{body['task_id']}", headers=AUTHORIZED))
        assert replies[-1].status == 500
        assert replies[-1].code == "INTERNAL"
        assert service.logged("internal")
        found = leaks(shown(replies) + await look_everywhere(service))
        # the password is no secret of this configuration: nobody could know it for one
        assert [leak for leak in found if not leak.startswith("password")] == []


def _broken(task_id: object) -> object:
    raise RuntimeError(QUOTED)


def test_the_search_itself_finds_what_is_hidden() -> None:
    for secret in SECRETS.values():
        raw = secret.encode()
        hidden = [
            quote(secret, safe=""),
            raw.hex(),
            *(base64.b64encode(b"x" * n + raw + b"y").decode() for n in range(3)),
        ]
        for each in [secret, *hidden]:
            assert leaks(f"before {each} after"), each
    assert not leaks("nothing here")
