import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

import orchestratord.config
from orchestratord.config import ConfigError, config_from, file_schema, schema_text
from tests.orchestratord.config.support import factories, pool

SHIPPED = Path(orchestratord.config.__file__).with_name("schema.json")

scalars = st.none() | st.booleans() | st.integers(-5, 10**6) | st.floats(allow_nan=False) | st.text(max_size=8)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
tables = st.sampled_from(["server", "auth", "stream", "history", "log", "pools", "x"])
keys = st.sampled_from(["bind", "token_env", "token_file", "channel_cap", "max_tasks", "level", "optional", "y"])


@pytest.mark.req("OC-CONFIG-6010")
def test_the_shipped_schema_is_what_the_types_say() -> None:
    assert SHIPPED.read_text(encoding="utf-8") == schema_text(), "run: orchestratord config schema --base > schema.json"


@pytest.mark.req("OC-CONFIG-6010")
def test_the_schema_is_the_same_in_every_process() -> None:
    code = "from orchestratord.config import schema_text; print(schema_text(), end='')"
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs == [schema_text().encode()] * 2


@pytest.mark.req("OC-CONFIG-6010")
def test_the_schema_is_valid_and_every_key_is_described() -> None:
    Draft202012Validator.check_schema(json.loads(schema_text()))
    definitions = file_schema()["$defs"]
    assert isinstance(definitions, dict)
    bare = [
        f"{table}.{key}"
        for table, rule in definitions.items()
        for key, value in rule["properties"].items()
        if not value.get("description")
    ]
    assert bare == []


@given(st.dictionaries(tables, st.dictionaries(keys, values, max_size=3) | values, max_size=4))
def test_any_data_is_either_a_configuration_or_a_list_of_problems(data: dict[str, object]) -> None:
    """Nothing but `ConfigError` leaves, whatever is put in."""
    try:
        config = config_from({"pools": [pool()], **data}, {}, factories)
    except ConfigError as error:
        problems = error.problems
    else:
        problems = ()
        assert config.pools
    assert all(problem.message for problem in problems)
