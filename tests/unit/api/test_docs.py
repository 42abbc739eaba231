"""The description over HTTP."""

import base64
import hashlib
import re

from tests.unit.api.world import World


def test_document_is_served_to_anybody(world: World) -> None:
    answer = world.send("GET", "/openapi.json", token=None)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.json["openapi"] == "3.1.0"
    assert answer.json["servers"] == [{"url": "https://api.example.test"}]
    again = world.send("GET", "/openapi.json", token=None, If_None_Match=answer.headers["ETag"])
    assert again.status == 304


def test_pages_allow_nothing_but_their_own_style(world: World) -> None:
    for path in ("/docs", "/docs/problems"):
        answer = world.send("GET", path, token=None)
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        [style] = re.findall(r"<style>(.*?)</style>", answer.body.decode(), re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


def test_problem_type_leads_to_its_line(world: World) -> None:
    problem = world.send("GET", "/v1/features/nobody").json
    page, _, code = problem["type"].partition("#")
    assert f'id="{code}"' in world.send("GET", page, token=None).body.decode()
