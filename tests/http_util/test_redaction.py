"""Secrets do not get through, ordinary words do."""

import base64
import json
import string
import time
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from http_util.redaction import MIN_VALUE_CHARS, RULES, Redactor
from http_util.redaction_rules import BY_STRUCTURE, MASK

if TYPE_CHECKING:
    from adapter_api import JsonValue

CANARY = "Canary/99+x\"'é&\\end"
KEY = b"fixed for the tests"
ALNUM = "0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT" * 4


def redactor(*values: str) -> Redactor:
    return Redactor(values=values, key=KEY)


ENCODED = [
    CANARY,
    json.dumps(CANARY)[1:-1],
    json.dumps(json.dumps(CANARY))[3:-3],
    json.dumps(CANARY, ensure_ascii=False)[1:-1],
    quote(CANARY, safe=""),
    quote(CANARY, safe="").lower().replace(quote(CANARY, safe="").lower(), quote(CANARY, safe="")),
    CANARY.encode().hex(),
    CANARY.encode().hex().upper(),
    base64.b64encode(CANARY.encode()).decode(),
    base64.urlsafe_b64encode(CANARY.encode()).decode(),
]


@pytest.mark.req("HTU-1004")
@pytest.mark.parametrize("form", ENCODED)
def test_a_known_value_is_masked_in_every_encoding(form: str) -> None:
    masked = redactor(CANARY).text(f"upstream said: {form}!")
    assert "anary" not in masked
    assert form not in masked
    assert "[redacted:value:" in masked


@pytest.mark.req("HTU-1004")
@pytest.mark.parametrize("user", ["", "u", "us", "use", "user"])
def test_a_known_password_is_found_inside_the_base64_of_a_login(user: str) -> None:
    login = base64.b64encode(f"{user}:{CANARY}:tail".encode()).decode()
    assert "[redacted:value:" in redactor(CANARY).text(f"<{login}>")


@pytest.mark.req("HTU-1004")
def test_a_value_added_later_is_masked_from_then_on() -> None:
    mask = redactor()
    assert mask("see plainvalue1") == "see plainvalue1"
    mask.add("plainvalue1", "  ", "short")
    assert "plainvalue1" not in mask("see plainvalue1")
    assert mask("a short one") == "a short one"


@pytest.mark.req("HTU-1004")
def test_the_longer_of_two_known_values_wins() -> None:
    assert redactor("prefix-of", "prefix-of-it").text("prefix-of-it") == redactor("prefix-of-it").text("prefix-of-it")


@pytest.mark.req("HTU-1004", "HTU-1004i")
def test_fingerprints_tell_secrets_apart_and_differ_between_processes() -> None:
    one, two = redactor("value-number-1", "value-number-2"), Redactor(values=["value-number-1"])
    assert one.text("value-number-1") == one.text("value-number-1") != one.text("value-number-2")
    raw, encoded = one.text("value-number-1"), one.text(b"value-number-1".hex())
    assert raw == encoded
    assert two.text("value-number-1") != Redactor(values=["value-number-1"]).text("value-number-1")


SECRET = "hunter2"
STRUCTURED = [
    "Authorization: Bearer {}",
    "authorization: basic {}",
    'proxy-authorization="Token {}"',
    "(b'authorization', b'Bearer {}')",
    "{{'Authorization': 'ApiKey {}'}}",
    "X-API-Key: {}",
    "(b'x-api-key', b'{}')",
    "api-key={}",
    "x-goog-api-key: {}",
    "X-Auth-Token: {}",
    "Private-Token: {}",
    "X-Amz-Security-Token: {}",
    "Cookie: session={}; theme=dark",
    "set-cookie: a={}; Path=/",
    'password="{}"',
    "password: {}",
    "DB_PASSWORD={}",
    "os.environ['HF_API_KEY'] = '{}'",
    "Settings(client_secret={}, x=1)",
    '{{"passphrase" : "two words {}"}}',
    r"{{\"password\": \"{}\"}}",
    r"{{\\\"secret\\\": \\\"{}\\\"}}",
    "AccountKey={};EndpointSuffix=x",
    "password := {}",
    "secret => {}",
    "refresh_token={}",
    "hf_token: {}",
    "id-token={}",
    "postgres://user:{}@host/db",
    "redis://:{}@host",
    "https://user:p@{}@host/path",
    "GET /v1?key={}&max_tokens=4",
    "https://h/x?a=1&amp;api_key={}",
    "https://h/x#access_token={}",
    "next=https%3A%2F%2Fh%3Ftoken%3D{}",
    "https://h/x?X-Amz-Signature={}",
    "llama-server --api-key {} --port 1",
    "['--hf-token', '{}']",
    "--password={}",
    "curl -u me:{} https://h",
    "hooks.slack.com/services/{}",
]


@pytest.mark.req("HTU-1004")
@pytest.mark.parametrize("shape", STRUCTURED)
def test_a_secret_without_a_shape_is_known_by_where_it_stands(shape: str) -> None:
    masked = redactor().text(shape.format(SECRET))
    assert SECRET not in masked
    assert "[redacted:" in masked


@pytest.mark.req("HTU-1004")
@pytest.mark.parametrize("value", ["a,b", "a;b)c", "pa\\ss", "<x>&y", "#1", "[z]", "ab\\u0026cd"])
@pytest.mark.parametrize(
    "shape", ["password={}", '{{"password": "{}"}}', r"{{\"password\": \"{}\"}}", "--secret {} -v"]
)
def test_no_tail_of_an_unusual_password_is_left(shape: str, value: str) -> None:
    masked = redactor().text(shape.format(value))
    assert shape.format("|").partition("|")[0] in masked
    left = masked.partition("[redacted:")[2].partition("]")[2]
    assert left.strip("\"'}\\ ") in {"", "-v", "]"}, masked


ORDINARY = [
    "max_tokens=5, tokens_in: 312, tokens_out=17, token_index=4, tokenizer: bpe, kv_cache_key=ab12cd34",
    '{"t":"The password is a word","token":"hello","i":3,"key":"value"}',
    'event: token\ndata: {"t":" secret agents","i":0}',
    "sk-learn and task-scheduler-component-name-number-one are packages",
    "model gemma-3-270m-it-Q4_K_M.gguf digest sha256:" + "0f" * 32,
    "commit " + "9f" * 20 + " and task 0b5ecbbc-6b1c-4b0e-9b0f-7a0a54f6a5b4",
    "Bearer of news, the bearer arrived at noon",
    "connect to http://127.0.0.1:8080/v1/tasks?limit=5&tokens=3 failed",
    "https://user@host/ and mailto:someone@example.org",
    "the eos_token is </s>, the pad_token <pad>, bos_token=<s>, invalid_token=3",
    '"password": null, "secret": false, api_key=None',
    "PWD=/root and /etc/passwd: permission denied",
    "sort -u file | uniq --tokenizer x --max-tokens 5",
    "The secretary wrote: authorization failed for this user.",
    "first_token_ms=120 key=7 token=9 in the histogram",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    "glob-pattern glib-2 ghost_town hvs eyes SKU99 AKIN ASIAN",
]


@pytest.mark.req("HTU-1004")
@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_words_of_this_service_pass(text: str) -> None:
    assert redactor(CANARY).text(text) == text


@pytest.mark.req("HTU-1004")
@pytest.mark.parametrize("tail", ["", "-----END RSA " + "PRIVATE KEY-----", "-----END"])
@pytest.mark.parametrize("newline", ["\n", "\\n"])
def test_a_private_key_is_masked_to_its_end_or_the_text_s(newline: str, tail: str) -> None:
    block = newline.join(["-----BEGIN RSA " + "PRIVATE KEY-----", "MIIEow", "IBAAKC", tail])
    masked = redactor().text(f"before {block}")
    assert "MIIE" not in masked
    assert "IBAAKC" not in masked
    assert masked.startswith("before [redacted:pem:")


@pytest.mark.req("HTU-1004", "HTU-1004b", "HTU-1004j")
def test_headers_keep_their_scheme_and_the_names_of_cookies() -> None:
    headers = {
        "Authorization": "Bearer abc",
        "X-Api-Key": "abc",
        "Cookie": "id=abc; theme=dark",
        "Set-Cookie": "id=abc; Path=/; HttpOnly; Max-Age=5",
        "Location": "https://u:pw@h/?token=abc",
        "Content-Type": "text/plain",
        "Proxy-Authorization": "abc",
    }
    masked = redactor().headers(headers)
    assert masked["Authorization"].startswith("Bearer [redacted:auth:")
    assert masked["Cookie"].startswith("id=[redacted:")
    assert "; theme=[redacted:" in masked["Cookie"]
    assert masked["Set-Cookie"].endswith("; Path=/; HttpOnly; Max-Age=5")
    assert masked["Content-Type"] == "text/plain"
    assert not any("abc" in value or "pw" in value for value in masked.values())


@pytest.mark.req("HTU-1004", "HTU-1004b", "HTU-1004j")
def test_a_url_is_masked_by_parameter_however_its_name_is_spelled() -> None:
    masked = redactor().url("https://u:pw@host:8080/p?API%5FKEY=abc&max_tokens=5&code=abc&sig=")
    assert "abc" not in masked
    assert "pw" not in masked
    assert masked.startswith("https://[redacted:userinfo:")
    assert "@host:8080/p?API%5FKEY=[redacted:query:" in masked
    assert "&max_tokens=5&" in masked
    assert redactor().url("http://[::1") == "http://[::1"


@pytest.mark.req("HTU-1004", "HTU-1004b", "HTU-1004j")
def test_json_is_masked_by_member_name_and_keeps_its_shape() -> None:
    value: JsonValue = {
        "max_tokens": 5,
        "token": "hello",
        "apiKey": "abc",
        "nested": [{"client-secret": {"a": 1, "b": ["abc", None, True]}}, "https://u:abc@h/"],
        "password": None,
        "Authorization": "Bearer abc",
    }
    masked = redactor().mapping(value)
    assert "abc" not in json.dumps(masked)
    assert isinstance(masked, dict)
    assert (masked["max_tokens"], masked["token"], masked["password"]) == (5, "hello", None)
    assert ", null, true]" in json.dumps(masked)


@pytest.mark.req("HTU-1004")
def test_nothing_of_a_value_is_in_the_repr() -> None:
    assert CANARY not in repr(redactor(CANARY))
    assert len(CANARY) > MIN_VALUE_CHARS


@pytest.mark.req("HTU-1004")
@pytest.mark.parametrize("kind", sorted({rule.kind for rule in RULES} | {"value", "header"}))
def test_no_mask_looks_like_a_secret(kind: str) -> None:
    for text in (f"[redacted:{kind}:abcdef]tailofatleastsixteen", f"x [redacted:{kind}:012345] y z1234567"):
        assert redactor().text(text) == text


SNIPPETS = st.one_of(
    st.sampled_from([shape.format(SECRET) for shape in STRUCTURED]),
    st.sampled_from([*STRUCTURED, *ORDINARY]).map(lambda text: text[: len(text) // 2]),
    st.sampled_from([hint for rule in RULES for hint in rule.hints]),
    st.sampled_from([
        "Authorization:",
        "Bearer ",
        "password",
        "cookie",
        "api_key",
        "://",
        "@",
        "--token ",
        "-u ",
        "Digest ",
    ]),
    st.sampled_from(list("\"'\\ =:,;?&#@/-_.[](){}<>\n\rb~")),
    st.integers(1, 60).map(lambda n: ALNUM[:n]),
    st.integers(1, 45).map(lambda n: "a" * n),
    st.integers(1, 40).map(lambda n: "7f" * n),
    st.integers(8, 12).map(lambda n: "8" * n),
    st.sampled_from([f"[redacted:{rule.kind}:0a1b2c]" for rule in BY_STRUCTURE] + ["[redacted:", MASK, "Canary99"]),
    st.text(alphabet=string.printable, max_size=6),
    st.text(max_size=4),
)


@pytest.mark.req("HTU-1004")
@given(parts=st.lists(SNIPPETS, max_size=12))
def test_masking_twice_is_masking_once(parts: list[str]) -> None:
    mask, text = redactor("Canary99"), "".join(parts)
    once = mask.text(text)
    assert mask.text(once) == once
    assert "Canary99" not in once


@pytest.mark.req("HTU-1004k")
def test_a_member_whose_name_becomes_a_secret_one_is_masked_at_once() -> None:
    mask = redactor()
    once = mask.mapping({"?PWD=/root": 1})
    assert mask.mapping(once) == once


@pytest.mark.req("HTU-1004")
@given(
    parts=st.lists(SNIPPETS, max_size=6),
    name=st.sampled_from(["Authorization", "cookie", "set-cookie", "x-api-key", "x"]),
)
def test_headers_urls_and_json_are_stable_too(parts: list[str], name: str) -> None:
    mask, text = redactor("Canary99"), "".join(parts)
    headers, url, value = mask.headers({name: text}), mask.url(text), mask.mapping({name: [text], "n": {text: 1}})
    assert mask.headers(headers) == headers
    assert mask.url(url) == url
    assert mask.mapping(value) == value


HOSTILE = [
    *(
        "a.b-c_",
        "sk-",
        "eyJaaaaaaaa.",
        "://",
        "://a:b",
        "secret",
        "secret_",
        "password=",
        '"password": "',
        r"\"",
        "ey",
        "aB3",
    ),
    *(
        "Authorization: ",
        "authorization: x ",
        "bearer ",
        "cookie=",
        "?key=",
        "--token ",
        "-u a",
        "-----BEGIN " + "PRIVATE KEY-----",
    ),
    *(
        "-----BEGIN ",
        "-----END",
        "8",
        "glpat-",
        "sk-a-",
        "api key",
        " ",
        "\\",
        "[redacted:",
        "[redacted:sk:012345]",
        "xQ~",
        "hf_",
    ),
    *("pwd ", "password" + " " * 7, "authorization" + " " * 7, "password: null"),
]


@pytest.mark.req("HTU-1004", "HTU-1004l")
@pytest.mark.parametrize("unit", HOSTILE)
def test_time_grows_with_the_length_and_no_faster(unit: str) -> None:
    mask = redactor(CANARY)

    def seconds(chars: int) -> float:
        text = (unit * (chars // len(unit) + 1))[:chars] + " !"
        best = 1.0
        for _ in range(3):
            begin = time.process_time()
            mask.text(text)
            best = min(best, time.process_time() - begin)
        return best

    small, large = seconds(16_384), seconds(131_072)
    assert large < 24 * small + 0.01  # eight times the length; a square would need 64 times the time
    assert large < 1.0
