"""Which blueprints are in the app, and when: all of them at once, or in a built package each with its first request.

A cold start is mostly imports, and a request needs one noun of thirty. So the package holds an index of its routes
(`routes.json` beside this file, made by infra/packaging from the registered routes themselves). Where it is, a request
loads the nouns that serve its path and no others. From a checkout, in tests and for Chalice's own commands everything
is registered at once.
"""

import json
import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Final

from chalice.app import Chalice, Response

from chalicelib.api.quick_check import ROUTE, quick_answer
from chalicelib.settings import is_chalice_command

# Without pathlib, which nothing else of a check imports.
INDEX: Final = os.path.join(os.path.dirname(__file__), "routes.json")  # noqa: PTH118, PTH120
Index = Mapping[str, Sequence[str]]


class Paygrade(Chalice):
    """The Chalice app, made of the nouns under `chalicelib.api` and the handlers under `chalicelib.events`."""

    def compose(self, nouns: Sequence[str], events: Sequence[str]) -> None:
        """All of them are in the app, or will be when they are needed."""
        self._nouns = nouns
        self._loaded: set[str] = set()
        self._paths: dict[str, list[str]] = {}
        self._index = _built_index()
        if self._index is None:
            self.load(*nouns)
            for name in events:
                self.register_blueprint(import_module(f"chalicelib.events.{name}").bp)
            self._allow_preflight(*self.routes)

    def load(self, *nouns: str) -> None:
        """The routes of these nouns are served."""
        for name in nouns:
            if name not in self._loaded:
                self._loaded.add(name)
                before = {path: len(methods) for path, methods in self.routes.items()}
                self.register_blueprint(import_module(f"chalicelib.api.{name}").bp)
                for path, methods in self.routes.items():
                    if len(methods) != before.get(path, 0):
                        self._paths.setdefault(path, []).append(name)

    def load_all(self) -> None:
        """All routes are served, and stand in `routes` in the order in which they are declared."""
        if self._index is None:
            return
        self.load(*self._nouns)
        self._allow_preflight(*self.routes)
        for path in self._index:
            self.routes[path] = self.routes.pop(path)

    def index(self) -> Index:
        """Which nouns serve each path that is served by now."""
        return self._paths

    def __call__(self, event: Any, context: Any) -> Any:  # noqa: ANN401 -- whatever API Gateway sends
        """The answer to a request."""
        path = event.get("requestContext", {}).get("resourcePath")
        if path == ROUTE and event.get("httpMethod") == "GET":
            quick = quick_answer(event, self._failed_check)
            if quick is not None:
                return quick.to_dict(self.api.binary_types)
        if self._index is not None:
            self.load(*self._index.get(path, ()))
            if event.get("httpMethod") == "OPTIONS":
                self._allow_preflight(path)
        return super().__call__(event, context)

    def _failed_check(
        self, error: Exception, request_id: str, path: Mapping[str, str], seconds: float
    ) -> Response:
        # Imported late, as by any request that is not a plain check.
        from chalicelib.api.serving import failed  # noqa: PLC0415

        if self._index is not None:
            self.load(*self._index[ROUTE])
        operation = getattr(self.routes[ROUTE]["GET"].view_function, "operation")  # noqa: B009 -- ours, beside a function
        return failed(operation, error, request_id, path, seconds)

    def _allow_preflight(self, *paths: str) -> None:
        # Imported late: no other request needs it.
        from chalicelib.api.browsers import allow_preflight  # noqa: PLC0415

        allow_preflight(self, paths)


def _built_index() -> Index | None:
    if is_chalice_command():
        return None
    try:
        with open(INDEX) as file:  # noqa: PTH123
            index: Index = json.load(file)
    except FileNotFoundError:
        return None
    return index
