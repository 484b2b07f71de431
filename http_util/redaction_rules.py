r"""What a secret looks like: the pattern table and the names that mark a value as secret.

A scanner for repositories is tuned not to cry wolf; this table is tuned not to miss. Three rules make it safe on any
text:

* Linear time. A pattern begins at a literal or a left boundary, and nothing unbounded stands before a part that can
  still fail, so no start costs more than the text up to the next one.
* Idempotence. A match leaves no word character behind it that could begin a match next time, a value that is already a
  mask is not a value, and no kind is a word that some pattern looks for.
* No list of allowed terminators. Tokens sit in JSON inside JSON, in URLs and in reprs; what follows is not our call.

Where a pattern has groups, the one that took part is the secret and the rest is kept; else all of it is. `hints` are
literals of which a text must hold one for the pattern to be able to match: they make ordinary lines cheap. Names are
searched in any case, and their hints are lower-case; tokens have exact ones.
The bare words `token` and `key` mark nothing, because `max_tokens`, `token_index` and `kv_cache_key` are everyday words
of a language-model service. Secrets without any shape are left to the registry in `redaction.py`.

Implements: HTU-1004.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

MASK = r"\[redacted:[a-z0-9-]{1,24}:[0-9a-f]{6}\]"
"""What stands in a secret's place; six hex digits tell equal secrets apart without telling what they are."""

_NEW = rf"(?!{MASK})"
_NO_MASK = r"\[(?!redacted:)"  # where more must follow a value, the value may not reach over a mask to find it
_LEFT = r"(?<![A-Za-z0-9])"
_QUOTE = r"(?:\\{0,3}[\"'])"
_IN_TUPLE = r"(?<=[\"']),(?=\s{0,8}b?[\"'][^\"'\r\n]{0,4096}[\"']\))"  # ('x-api-key', '...'): headers in a repr
_ASSIGN = rf"(?>(?:{_QUOTE}\]?)?\s{{0,8}}(?::=|=>|[:=]|{_IN_TUPLE})\s{{0,8}}(?:b(?=[\"']))?)"
_QUOTED = (  # the inside alone; an escaped quote comes first, for a plain one would take its backslash for the value
    rf"\\{{1,3}}\"{_NEW}((?:[^\"\\\r\n]|\\(?!\\{{0,2}}\"))+)|\\{{1,3}}'{_NEW}((?:[^'\\\r\n]|\\(?!\\{{0,2}}'))+)"
    rf"|\"{_NEW}((?:[^\"\\\r\n]|\\.)+)|'{_NEW}((?:[^'\\\r\n]|\\.)+)"
)
_BARE = (
    rf"{_NEW}(?!(?:null|none|true|false)(?![^\s\"',;&)\]}}]))"
    r"((?!\\{1,3}[\"'])[^\s\"',](?:[^\s\"',\\]|\\(?!\\{0,2}[\"'])|,(?![\s\"'{]))*)"
)

_SECRET_WORD = (
    r"(?:secret|(?<!/etc/)passw(?:or)?d|pwd(?![\"']?\s{0,8}[:=]\s{0,8}[\"']?/)|passphrase|credential"
    r"|(?:api|access|account|private|signing|encryption|subscription|functions|master)[ _-]?key"
    r"|(?:auth|access|refresh|session|security|bearer|vault|private|csrf)[_-]?token|(?<![A-Za-z])(?:id|hf)[_-]token)"
)
_SECRET_NAME = rf"{_SECRET_WORD}s?(?:[_.-][\w.-]{{0,32}})?"
_QUERY_NAME = (
    r"(?:key|api[_-]?key|access[_-]?key|access_token|id_token|refresh_token|auth_token|token|sig|signature|code"
    r"|client_secret|secret|password|passwd|pwd|auth|x-amz-(?:signature|credential|security-token)"
    r"|x-goog-(?:signature|credential))"
)
_SCHEME = r"(?:basic|bearer|token|api-?key|key|hmac|oauth|negotiate|ntlm)"
_FLAG = r"--(?:(?:hf|auth|access|bearer|refresh|admin|client)-)?(?:api-?key|token|password|passwd|secret|auth)"
_ARGUMENT = r"(?:[^\s\"',\\]|\\(?![\"'])|,(?![\s\"']))+"


@dataclass(frozen=True, slots=True)
class RedactionRule:
    """One kind of secret: its name in the mask, its pattern, and the literals that make it worth trying."""

    kind: str
    pattern: str
    hints: tuple[str, ...]
    regex: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "regex", re.compile(self.pattern, re.ASCII))


def _token(kind: str, pattern: str, *hints: str) -> RedactionRule:
    """Make the rule for a secret that its own prefix gives away; it takes the rest of the word along."""
    return RedactionRule(kind, rf"{_LEFT}{pattern}[A-Za-z0-9_-]*", hints)


BY_STRUCTURE = (
    RedactionRule(
        "pem",
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----[\s\S]*?(?:-----END[^-]{0,60}-----|\Z)",
        ("private key",),
    ),
    RedactionRule(
        "userinfo",
        rf"://((?:[^\s/:@?#\"<>\\\[]|{_NO_MASK})*:(?:[^\s/?#\"<>\\\[]|{_NO_MASK})+|[^\s/:@?#\"<>\\\[]{{16,}})@",
        ("://",),
    ),
    RedactionRule(
        "query",
        rf"(?i:(?:[?&#]|%3f|%26)(?:amp;)?{_QUERY_NAME}(?:=|%3d)){_NEW}([^&#\s\"'<>\\]+)",
        ("?", "&", "#", "%3f", "%26"),
    ),
    RedactionRule("webhook", rf"hooks\.slack\.com/{_NEW}([^\s\"'<>\\]+)", ("hooks.slack.com",)),
    RedactionRule(
        "auth",
        rf"(?i:authorization){_ASSIGN}{_QUOTE}?(?i:(?:digest|aws4-hmac-sha256)\s{{1,4}}{_NEW}([^\r\n]+)"
        rf"|{_SCHEME}\s{{1,4}}{_NEW}([^\s\"',]+)"
        rf"|([\w-]{{1,32}}\s{{1,4}}(?=[^\s\"',\[]{{0,64}}\d)[^\s\"',\[]{{8,}})|((?!aws4-hmac)[^\s\"',\[]{{16,}}))",
        ("authorization",),
    ),
    RedactionRule(
        "bearer",
        rf"{_LEFT}(?i:bearer)(?:\s{{1,4}}|%20)((?=[\w.~+/=-]{{0,64}}\d)[\w.~+/=-]{{8,}}|[\w.~+/=-]{{20,}})",
        ("bearer",),
    ),
    RedactionRule(
        "cookies", rf"{_LEFT}(?i:(?:set-)?cookie){_ASSIGN}(?:{_QUOTED}|{_NEW}([^\s\"'\\][^\r\n\"']*))", ("cookie",)
    ),
    RedactionRule(
        "field",
        rf"(?i:{_SECRET_NAME}){_ASSIGN}(?i:{_QUOTED}|{_BARE})",
        (
            *("secret", "passw", "pwd", "passphrase", "credential", "key", "_token", "-token"),
            *("authtoken", "accesstoken", "refreshtoken", "sessiontoken", "securitytoken", "bearertoken"),
            *("vaulttoken", "privatetoken", "csrftoken"),
        ),
    ),
    RedactionRule(
        "flag",
        rf"(?<![\w-])(?:{_FLAG}{_QUOTE}?(?:[ =]|,\s?)\s{{0,4}}{_QUOTE}?{_NEW}({_ARGUMENT})"
        rf"|(?:-u|--user){_QUOTE}?(?:[ =]|,\s?)\s{{0,4}}{_QUOTE}?([^\s\"',:\[]{{1,256}}:{_ARGUMENT}))",
        ("--", "-u"),
    ),
)

BY_SHAPE = (
    RedactionRule("jwt", r"(?<![A-Za-z0-9_-])(?:eyJ|ewo)[A-Za-z0-9_-]{8,}+(?:\.[A-Za-z0-9_-]*+){2,4}", ("eyJ", "ewo")),
    RedactionRule("jwt-base64", rf"{_LEFT}ZXlK[A-Za-z0-9+/_-]{{20,}}={{0,2}}", ("ZXlK",)),
    RedactionRule("azure", r"[A-Za-z0-9_~.]{3}\dQ~[A-Za-z0-9_~.-]{31,}", ("Q~",)),
    RedactionRule("telegram", rf"{_LEFT}\d{{8,10}}:AA[\w-]{{30,}}", (":AA",)),
    _token("anthropic", r"sk-ant-[A-Za-z0-9_-]{16,}", "sk-ant-"),
    _token("openrouter", r"sk-or-[A-Za-z0-9_-]{16,}", "sk-or-"),
    _token("openai", r"sk-(?:proj|svcacct|admin|service|None)-[A-Za-z0-9_-]{16,}", "sk-"),
    _token("langfuse", r"[ps]k-lf-[0-9a-f-]{20,}", "pk-lf-", "sk-lf-"),
    _token("sk", r"sk-(?:[A-Za-z0-9]{1,12}-){0,3}[A-Za-z0-9]{16,}", "sk-"),
    _token("langsmith", r"lsv2_(?:pt|sk)_[0-9a-f]{20,}", "lsv2_"),
    _token("huggingface", r"(?:hf_|api_org_)[A-Za-z0-9]{20,}", "hf_", "api_org_"),
    _token("xai", r"xai-[A-Za-z0-9_]{20,}", "xai-"),
    _token("groq", r"gsk_[A-Za-z0-9]{20,}", "gsk_"),
    _token("nvidia", r"nvapi-[A-Za-z0-9_-]{20,}", "nvapi-"),
    _token("replicate", r"r8_[A-Za-z0-9_-]{20,}", "r8_"),
    _token("perplexity", r"pplx-[A-Za-z0-9]{20,}", "pplx-"),
    _token("google", r"AIza[0-9A-Za-z_-]{30,}", "AIza"),
    _token("aws", r"(?:AKIA|ASIA|ABIA|ACCA|A3T[A-Z0-9])[A-Z0-9]{12,}", "AKIA", "ASIA", "ABIA", "ACCA", "A3T"),
    _token(
        "bedrock", r"(?:ABSK[A-Za-z0-9+/]{40,}={0,2}|bedrock-api-key-[A-Za-z0-9+/=_-]{16,})", "ABSK", "bedrock-api-"
    ),
    _token(
        "github",
        r"(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{40,})",
        "ghp_",
        "gho_",
        "ghu_",
        "ghs_",
        "ghr_",
        "github_",
    ),
    _token(
        "gitlab",
        r"(?:gl(?:pat|dt|ft|rt|oas|soat|cbt|ptt|agent|imt|ffct)-[A-Za-z0-9_.-]{20,}|GR1348941\S{20,})",
        *(
            "glpat-",
            "gldt-",
            "glft-",
            "glrt-",
            "gloas-",
            "glsoat-",
            "glcbt-",
            "glptt-",
            "glagent-",
            "glimt-",
            "glffct-",
        ),
        "GR1348941",
    ),
    _token("age", r"AGE-SECRET-KEY-1[A-Z0-9]{50,}", "AGE-SECRET-"),
    _token("slack", r"(?:xox[abeoprs](?:\.xox[bp])?-[A-Za-z0-9-]{10,}|xapp-\d-[A-Za-z0-9-]{10,})", "xox", "xapp-"),
    _token("npm", r"npm_[A-Za-z0-9]{20,}", "npm_"),
    _token("pypi", r"pypi-[A-Za-z0-9_-]{50,}", "pypi-"),
    _token("docker", r"dckr_pat_[A-Za-z0-9_-]{20,}", "dckr_pat_"),
    _token("stripe", r"(?:[sr]k_(?:live|test|prod)_[A-Za-z0-9]{10,}|sk_[0-9a-f]{40,})", "sk_", "rk_"),
    _token("hashicorp", r"hv[sb]\.[\w-]{20,}", "hvs.", "hvb."),
    _token("databricks", r"dapi[0-9a-f]{32}", "dapi"),
    _token("digitalocean", r"do[opr]_v1_[0-9a-f]{40,}", "doo_v1_", "dop_v1_", "dor_v1_"),
    _token("grafana", r"gl(?:sa|c)_[A-Za-z0-9+/_=]{20,}", "glsa_", "glc_"),
    _token("sendgrid", r"SG\.[\w-]{16,}\.[\w-]{16,}", "SG."),
    _token("twilio", r"SK[0-9a-f]{32}", "SK"),
    _token("pinecone", r"pcsk_\w{20,}", "pcsk_"),
)

RULES: tuple[RedactionRule, ...] = BY_STRUCTURE + BY_SHAPE
"""Tried in this order: structure first, so that a mask replaces a whole value and not the part with a shape."""

SECRET_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key", "ocp-apim-subscription-key"}
    | {"x-auth-token", "x-access-token", "x-amz-security-token", "x-functions-key", "private-token", "x-vault-token"}
    | {"x-csrf-token", "cookie", "set-cookie"}
)
"""Lower-case names of the headers whose value is a secret whatever it is."""

SECRET_NAME = re.compile(
    rf"(?i){_SECRET_NAME}|^(?:proxy[_-])?authorization$|^(?:set[_-])?cookies?$|^x-api-key$", re.ASCII
)
"""Searched in the name of a JSON member or an environment variable: a hit makes the value secret."""

QUERY_NAME = re.compile(rf"(?i){_QUERY_NAME}", re.ASCII)
"""Matched against the whole percent-decoded name of a query parameter: a hit makes the value secret."""
