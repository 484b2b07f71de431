"""Who may ask: one token, compared whole, and told to nobody."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
import trio

import specs
from adapter_api import Secret
from orchestratord.config import Auth
from orchestratord.errors import Refused
from orchestratord.web.app import create_app
from orchestratord.web.auth import identify
from tests.support.service import configuration, open_service, task

if TYPE_CHECKING:
    from typing import NoReturn

    from quart_trio import QuartTrio
    from trio.testing import MockClock

    from orchestratord.web.services import Services

TOKEN = "right-token-0123456789"
IDENTITY = f"token:{hashlib.sha256(TOKEN.encode()).hexdigest()[:6]}"
REMOTE = "192.0.2.7"
RIGHT = f"Bearer {TOKEN}"
SPEC = specs.load()


@pytest.mark.req("AUTH-1001", "AUTH-1005")
@pytest.mark.parametrize(
    ("is_optional", "host", "sent", "code"),
    [
        (False, "127.0.0.1", None, "MISSING_TOKEN"),
        (False, REMOTE, None, "MISSING_TOKEN"),
        (True, "127.0.0.1", None, None),
        (True, "::1", None, None),
        (True, "::ffff:127.0.0.1", None, None),
        (True, REMOTE, None, "MISSING_TOKEN"),
        (True, "::ffff:192.0.2.7", None, "MISSING_TOKEN"),
        (True, "127.0.0.1", "Bearer wrong", "BAD_TOKEN"),
        (True, "127.0.0.1", RIGHT, None),
        (False, REMOTE, RIGHT, None),
        (False, REMOTE, f"bearer   {TOKEN}", None),
        (False, REMOTE, "Bearer wrong", "BAD_TOKEN"),
        (False, REMOTE, f"Basic {TOKEN}", "BAD_TOKEN"),
        (False, REMOTE, TOKEN, "BAD_TOKEN"),
        (False, REMOTE, "Bearer", "BAD_TOKEN"),
        (False, REMOTE, "", "BAD_TOKEN"),
        (False, REMOTE, f"{RIGHT}x", "BAD_TOKEN"),
        (False, REMOTE, RIGHT[:-1], "BAD_TOKEN"),
        (False, REMOTE, "Bearer caf\xe9", "BAD_TOKEN"),
    ],
)
async def test_the_token_is_asked_for(
    is_optional: bool, host: str, sent: str | None, code: str | None, autojump_clock: MockClock
) -> None:
    config = configuration(token=TOKEN, auth={"optional": is_optional})
    async with open_service(config) as service:
        headers = [] if sent is None else [("Authorization", sent)]
        for path in ("/v1/capabilities", "/metrics", "/v1/pools/default/health", "/nothing"):
            reply = await service.call("GET", path, headers=headers, host=host)
            if code is None:
                assert reply.status == (404 if path == "/nothing" else 200)
                continue
            assert (reply.status, reply.code) == (401, code)
            assert reply.data["number"] == SPEC.errors[code].number
            assert {"code", "message", "hint"} <= reply.data.keys()
            assert reply.headers["www-authenticate"] == "Bearer"
            assert TOKEN not in reply.body.decode()


@pytest.mark.req("AUTH-1006", "AUTH-1007")
@pytest.mark.parametrize(
    ("sent", "credential"),
    [(RIGHT, TOKEN), ("Bearer proxy-made", "proxy-made"), ("Basic dXNlcjpwYXNz", "dXNlcjpwYXNz")],
)
async def test_a_proxy_on_this_machine_that_is_trusted_vouches_for_its_credential(
    sent: str, credential: str, autojump_clock: MockClock
) -> None:
    async with open_service(configuration(token=TOKEN, auth={"trust_proxy": True})) as service:
        await service.admit(headers=[("Authorization", sent)])
        (admitted,) = service.logged("admission")
        assert admitted["identity"] == f"token:{hashlib.sha256(credential.encode()).hexdigest()[:6]}"
        assert credential not in service.log.getvalue()


@pytest.mark.req("AUTH-1006")
@pytest.mark.parametrize(
    ("host", "sent", "code"),
    [
        ("127.0.0.1", None, "MISSING_TOKEN"),
        ("127.0.0.1", "", "BAD_TOKEN"),
        ("127.0.0.1", "Bearer", "BAD_TOKEN"),
        (REMOTE, "Bearer proxy-made", "BAD_TOKEN"),
        (REMOTE, None, "MISSING_TOKEN"),
    ],
)
async def test_a_trusted_proxy_vouches_for_nothing_that_it_did_not_send(
    host: str, sent: str | None, code: str, autojump_clock: MockClock
) -> None:
    async with open_service(configuration(token=TOKEN, auth={"trust_proxy": True})) as service:
        headers = [] if sent is None else [("Authorization", sent)]
        reply = await service.call("GET", "/metrics", headers=headers, host=host)
        assert (reply.status, reply.code) == (401, code)


@pytest.mark.req("AUTH-1008")
async def test_every_route_but_the_open_ones_asks_for_the_token(autojump_clock: MockClock) -> None:
    async with open_service(configuration(token=TOKEN)) as service:
        for route in SPEC.routes:
            path = route.path.replace("{id}", "11111111-1111-4111-8111-111111111111")
            body = task() if route.success == 202 else None
            reply = await service.call(route.method, path, body=body, host=REMOTE)
            assert (reply.status == route.success) == route.is_open, route
            assert reply.status in {route.success, 401}
        assert service.pool.active_leases == 0


@pytest.mark.req("AUTH-1008")
@pytest.mark.parametrize(
    "path", ["/LIVEZ", "/livez/../metrics", "/livez%2f..%2fmetrics", "/readyz/", "/metrics?/livez"]
)
async def test_nothing_that_looks_like_an_open_path_is_open(path: str, autojump_clock: MockClock) -> None:
    async with open_service(configuration(token=TOKEN)) as service:
        assert (await service.call("GET", path, host=REMOTE)).status == 401


@pytest.mark.req("AUTH-1008")
@pytest.mark.parametrize("path", ["/livez", "/readyz"])
async def test_a_wrong_token_does_not_close_an_open_path(path: str, autojump_clock: MockClock) -> None:
    async with open_service(configuration(token=TOKEN)) as service:
        reply = await service.call("GET", path, headers=[("Authorization", "Bearer wrong")], host=REMOTE)
        assert reply.status == 200


@pytest.mark.req("AUTH-1007")
@pytest.mark.parametrize(
    ("token", "is_optional", "sent", "identity"),
    [
        (TOKEN, False, RIGHT, IDENTITY),
        (TOKEN, True, RIGHT, IDENTITY),
        (TOKEN, True, None, "localhost"),
        (None, False, None, "localhost"),
        (None, False, "Bearer anything", "localhost"),
    ],
)
async def test_the_log_knows_the_caller_and_never_the_token(
    token: str | None, is_optional: bool, sent: str | None, identity: str, autojump_clock: MockClock
) -> None:
    async with open_service(configuration(token=token, auth={"optional": is_optional})) as service:
        headers = [] if sent is None else [("Authorization", sent)]
        task_id = await service.admit(headers=headers)
        seen = {line["identity"] for line in service.logged() if line.get("job_id") == task_id and "identity" in line}
        assert seen == {identity}
        assert TOKEN not in service.log.getvalue()


@pytest.mark.req("AUTH-1006")
@pytest.mark.parametrize(
    ("host", "sent", "status"),
    [
        ("127.0.0.1", "Bearer what-the-proxy-checked", 200),
        ("::1", "Basic dXNlcjpwdw==", 200),
        ("127.0.0.1", None, 401),
        ("127.0.0.1", "Bearer", 401),
        (REMOTE, "Bearer what-nobody-checked", 401),
        (REMOTE, RIGHT, 200),
    ],
)
async def test_a_proxy_on_this_machine_is_trusted_and_no_other(
    host: str, sent: str | None, status: int, autojump_clock: MockClock
) -> None:
    async with open_service(configuration(token=TOKEN, auth={"trust_proxy": True})) as service:
        headers = [] if sent is None else [("Authorization", sent)]
        assert (await service.call("GET", "/metrics", headers=headers, host=host)).status == status


@pytest.mark.req("AUTH-1003", "AUTH-1008")
async def test_a_route_that_is_added_asks_for_the_token_like_every_other(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    """Workers are not registered yet: whatever route will do it is behind the same door."""

    def create_with_registration(services: Services) -> QuartTrio:
        app = create_app(services)

        @app.post("/v1/workers")
        async def register() -> str:
            await trio.lowlevel.checkpoint()
            return "registered"

        return app

    monkeypatch.setattr("orchestratord.service.create_app", create_with_registration)
    async with open_service(configuration(token=TOKEN)) as service:
        for headers, status in (([], 401), ([("Authorization", "Bearer no")], 401), ([("Authorization", RIGHT)], 200)):
            assert (await service.call("POST", "/v1/workers", headers=headers, host=REMOTE)).status == status


def leaks(*_: object) -> NoReturn:
    raise AssertionError("how long this takes tells how much of the token was right")


class Whole(str):
    """A token that can be compared by nothing that stops at the first difference."""

    __slots__ = ()
    __hash__ = str.__hash__
    __eq__ = __ne__ = __lt__ = __gt__ = __contains__ = __getitem__ = __iter__ = leaks
    startswith = endswith = find = index = count = partition = split = removeprefix = leaks  # type: ignore[assignment]

    def encode(self, *_: str) -> WholeBytes:
        return WholeBytes(str.encode(self))


class WholeBytes(bytes):
    """The same in bytes."""

    __slots__ = ()
    __hash__ = bytes.__hash__
    __eq__ = __ne__ = __lt__ = __gt__ = __contains__ = __getitem__ = __iter__ = leaks
    startswith = endswith = find = index = count = partition = split = removeprefix = leaks  # type: ignore[assignment]


@pytest.mark.req("AUTH-1004")
@pytest.mark.parametrize("sent", [RIGHT[:-1], f"{RIGHT}x", f"Bearer x{TOKEN[1:]}", "Bearer caf\xe9", "Bearer", RIGHT])
def test_nothing_that_stops_at_the_first_difference_compares_the_token(sent: str) -> None:
    auth = Auth(token=Secret(Whole(TOKEN)))
    if sent == RIGHT:
        assert identify(auth, sent, REMOTE) == IDENTITY
    else:
        with pytest.raises(Refused):
            identify(auth, sent, REMOTE)


@pytest.mark.req("AUTH-1004")
@pytest.mark.parametrize("of_text", [True, False])
def test_a_comparison_that_stops_early_would_be_noticed(*, of_text: bool) -> None:
    token = Whole(TOKEN)
    with pytest.raises(AssertionError, match="how long"):
        assert (token == TOKEN) if of_text else (TOKEN.encode() == token.encode())
