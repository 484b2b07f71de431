"""The walk through one task names six places; they are where the page says."""

import importlib
import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/design/one-task.md"
STATION = re.compile(r"^## \d+\. `(?P<file>[\w/]+)\.py`: `(?P<name>[\w.]+)`$", re.MULTILINE)


def test_the_walk_has_six_stations_and_each_is_there() -> None:
    stations = list(STATION.finditer(PAGE.read_text()))
    assert len(stations) == 6
    for station in stations:
        module = importlib.import_module(station["file"].replace("/", "."))
        found: object = module
        for name in station["name"].split("."):
            found = getattr(found, name)
        assert callable(found)


def test_the_names_in_the_text_are_in_the_code() -> None:
    text = PAGE.read_text()
    root = PAGE.parents[2]
    for name, target in re.findall(r"\[`([\w.]+)`\]\(\.\./\.\./([\w/.]+)\)", text):
        here = root / target
        assert here.name == name or name.rpartition(".")[2] in here.read_text(), (name, target)
