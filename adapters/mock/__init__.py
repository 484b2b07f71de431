"""An engine that is not there: a scriptable adapter for demonstrations, tests and fault injection.

    from adapter_api import load_factory
    async with load_factory("mock").open({"script": [{"do": "started"}, {"do": "reset"}]}, context) as adapter: ...

Implements: ORCH-3058.
"""

from .adapter import MockAdapter, MockFactory
from .engine import Facts, MockEngine

factory = MockFactory()

__all__ = ["Facts", "MockAdapter", "MockEngine", "MockFactory", "factory"]
