"""A stand-in for the API behind the client's transport, and a shell to call the command from."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest
from typer.testing import CliRunner

from infra.cli import session
from infra.cli.client import ApiClient
from infra.cli.main import app

API_URL = "https://paygrade.test"


@dataclass
class FakeApi:
    """Answers in the order given for each route; the last one again and again."""

    answers: dict[str, list[httpx.Response]] = field(default_factory=dict)
    requests: list[httpx.Request] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    def on(self, route: str, *bodies: Any, status: int = 200, **headers: str) -> None:
        self.answers.setdefault(route, []).extend(
            httpx.Response(status, json=body, headers=headers) for body in bodies
        )

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        left = self.answers[f"{request.method} {request.url.raw_path.decode()}"]
        return left.pop(0) if len(left) > 1 else left[0]

    def client(self, api_url: str = API_URL, api_key: str = "pg_sk_test") -> ApiClient:
        transport = httpx.MockTransport(self.handle)
        return ApiClient(api_url, api_key, transport=transport, sleep=self.pauses.append)

    def sent(self, index: int = -1) -> Any:
        return json.loads(self.requests[index].content)


class Shell(Protocol):
    """`paygrade ...` in a folder of its own."""

    def __call__(self, *args: str, **env: str) -> Any: ...


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    fake = FakeApi()
    monkeypatch.setattr(session, "new_client", fake.client)
    return fake


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    clean = {"PAYGRADE_API_URL": None, "PAYGRADE_API_KEY": None, "COLUMNS": "200"}

    def invoke(*args: str, **env: str) -> Any:
        return CliRunner().invoke(app, args, env={**clean, **env})

    return invoke


@pytest.fixture
def connected(shell: Shell) -> Shell:
    def invoke(*args: str, **env: str) -> Any:
        return shell(*args, PAYGRADE_API_URL=API_URL, PAYGRADE_API_KEY="pg_sk_test", **env)

    return invoke


@pytest.fixture
def problem() -> dict[str, Any]:
    return {
        "type": "/docs/problems#invalid",
        "title": "Invalid input",
        "status": 422,
        "detail": "1 field is invalid.",
        "code": "invalid",
        "errors": [{"param": "name", "code": "required", "detail": "Give it a name."}],
        "request_id": "req-1",
    }
