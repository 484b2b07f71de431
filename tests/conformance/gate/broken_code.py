"""Code and documents that do not agree."""

from __future__ import annotations

from .breaking import Broken, document

APP = "code/app.py"
ROUTE = '@app.get("/a/<int:name>")\n'
METRIC = 'TASKS = Metric("tasks_total", "Tasks.")\n'


def code(name: str, id: str, on: str, old: str, new: str) -> Broken:
    return Broken(name=name, code=id, at=(APP, on), edit=(APP, old, new))


def row(name: str, id: str, on: str, text: str) -> Broken:
    """Put a row more into a table of the documents, before the first one of its kind."""
    head = text.partition("\n")[0]
    return document(name, id, "service.md", on, head, f"{text}{head}")


CODE = [
    code("a route more", "SPEC301", "/b", ROUTE, f'{ROUTE}@app.post("/b")\n'),
    code("another verb", "SPEC301", ".put", ROUTE, f"{ROUTE}{ROUTE.replace('get', 'put')}"),
    row("a route less", "SPEC302", "/b", '[[route]]\nmethod = "POST"\npath = "/b"\nsuccess = 200\ndoes = "x"\n'),
    Broken(
        name="a route in a comment",
        code="SPEC302",
        at=("specs/service.md", "/c"),
        edit=(
            "specs/service.md",
            "[[route]]",
            '[[route]]\nmethod = "GET"\npath = "/c"\nsuccess = 200\ndoes = "x"\n[[route]]',
        ),
        files={"code/c.py": '# @app.get("/c")\n'},
    ),
    code("a route by another name", "SPEC301", "/b", ROUTE, f'{ROUTE}@app.route("/b", methods=["POST"])\n'),
    code("a route without a decorator", "SPEC301", "/b", METRIC, f'{METRIC}app.add_url_rule("/b", view_func=answer)\n'),
    code("a socket", "SPEC301", "/b", ROUTE, f'{ROUTE}@app.websocket("/b")\n'),
    code("a route as a constant", "SPEC301", "app.get(B)", ROUTE, f'B = "/b"\n{ROUTE}@app.get(B)\n'),
    code(
        "a metric as a constant",
        "SPEC303",
        "Metric(LATE",
        METRIC,
        f'{METRIC}LATE = "late_total"\nMetric(LATE, "Late.")\n',
    ),
    code("a metric by its name", "SPEC303", "name=", METRIC, f'{METRIC}Metric(name="late_total")\n'),
    code("a metric that is made up", "SPEC312", 'f"', METRIC, f'{METRIC}Metric(f"{{LATE}}_total")\n'),
    code("a route that is made up", "SPEC312", "prefix +", ROUTE, f'{ROUTE}@app.get(prefix + "/b")\n'),
    code("a route of made up verbs", "SPEC312", "VERBS", ROUTE, f'{ROUTE}@app.route("/b", methods=VERBS)\n'),
    code(
        "routes below a prefix",
        "SPEC312",
        "url_prefix",
        METRIC,
        f'{METRIC}part = Blueprint("p", __name__, url_prefix="/b")\n',
    ),
    code(
        "an error code that is made up",
        "SPEC312",
        "lower",
        '    FULL = "FULL"\n',
        '    FULL = "FULL"\n    LATE = FULL.lower()\n',
    ),
    code(
        "a kind that is made up",
        "SPEC312",
        "kind = name",
        "class Slow",
        "class Late(Error):\n    kind = name()\n\n\nclass Slow",
    ),
    code("a metric more", "SPEC303", "late_total", METRIC, METRIC + METRIC.replace("tasks", "late")),
    row("a metric less", "SPEC304", "late_total", '[[metric]]\nname = "late_total"\ntype = "counter"\nhelp = "x"\n'),
    code("an error code more", "SPEC305", "LATE", '    FULL = "FULL"\n', '    FULL = "FULL"\n    LATE = "LATE"\n'),
    row(
        "an error code less",
        "SPEC306",
        "LATE",
        '[[code]]\ncode = "LATE"\nretriable = true\nin_stream = true\nwhen = "x"\n',
    ),
    code("a word more", "SPEC307", '"Late"', "class Slow", 'class Late(Error):\n    kind = "Late"\n\n\nclass Slow'),
    Broken(
        name="a word less",
        code="SPEC308",
        at=("specs/service.md", '"Slow"'),
        edit=(APP, '    kind: str = "Slow"', "    pass"),
    ),
    document(
        "code that is not there",
        "SPEC309",
        "proof.md",
        "code/gone.py",
        "calls:Metric:code/app.py",
        "calls:Metric:code/gone.py",
    ),
    code("a route that is ruled out", "SPEC310", "/old", ROUTE, f'{ROUTE}@app.get("/old")\n'),
    Broken(
        name="code in another encoding", code="SPEC311", at=("code/b.py", ""), files={"code/b.py": b'X = "Caf\xe9"\n'}
    ),
    Broken(name="code that does not parse", code="SPEC311", at=("code/b.py", ""), files={"code/b.py": "def ("}),
]
