"""The shared token: where it comes from, and the refusal to listen to the world without one.

Implements: AUTH-1001, AUTH-1002, OC-CONFIG-6032.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .model import AuthConfig
from .problems import NON_LOOPBACK_WITHOUT_TOKEN, NON_LOOPBACK_WITHOUT_TOKEN_NUMBER, Problem
from .secrets import SecretError, from_file, from_variable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapter_api import Secret

    from .model import ConfigFile


def resolve_auth(
    file: ConfigFile, *, names_variable: bool, environ: Mapping[str, str]
) -> tuple[Secret | None, list[Problem]]:
    """Return the token, and what is wrong.

    The variable wins over the file. A variable that the configuration names itself has to be there; the one it falls
    back to need not.
    """
    auth, problems = file.auth, list[Problem]()
    token: Secret | None = None
    try:
        if auth.token_env in environ or (names_variable and auth.token_file is None):
            token = from_variable(auth.token_env, environ)
        elif auth.token_file is not None:
            token = from_file(auth.token_file)
    except SecretError as error:
        key = "token_env" if auth.token_file is None or auth.token_env in environ else "token_file"
        return None, [Problem(("auth", key), _told(error, file)), *_bind_problems(file, has_token=True)]
    return token, problems + _bind_problems(file, has_token=token is not None)


def _told(error: SecretError, file: ConfigFile) -> str:
    is_default = file.auth.token_env == AuthConfig().token_env
    return (
        str(error).replace("variable that is named here", f"variable {file.auth.token_env}")
        if is_default
        else str(error)
    )


def _bind_problems(file: ConfigFile, *, has_token: bool) -> list[Problem]:
    try:
        address = file.server.address
    except ValueError as error:
        return [Problem(("server", "bind"), str(error))]
    if address.is_loopback or has_token:
        return []
    text = (
        f"{NON_LOOPBACK_WITHOUT_TOKEN} ({NON_LOOPBACK_WITHOUT_TOKEN_NUMBER}): {address} can be reached from other "
        f"machines and no token is set. Set the environment variable {file.auth.token_env} (or "
        f"auth.token_file), or bind to 127.0.0.1:{address.port}"
    )
    return [Problem(("server", "bind"), text, code=NON_LOOPBACK_WITHOUT_TOKEN)]
