"""`python -m infra.supply_chain` over a package index on loopback, with programs in place of the tools."""

import json
import sys
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Final

import pytest

from infra.supply_chain import index, tools
from infra.supply_chain.__main__ import main
from infra.supply_chain.index import ProjectPages
from tests.nobody import nobody

A: Final = "a" * 64
FINDING: Final = {"id": "PYSEC-1", "aliases": ["CVE-1"], "fixed_in": ["2.0"], "withdrawn": None}

# Knows the packages of known.json, and skips the others in the words of the real one. Broken, it fails for ruff.
PIP_AUDIT: Final = """
import json, pathlib, re, sys
here = pathlib.Path(__file__).parent
lock = pathlib.Path(sys.argv[sys.argv.index("--requirement") + 1]).read_text()
with (here / "runs").open("a") as runs:
    runs.write(lock)
if lock.startswith("ruff") and (here / "broken").exists():
    failures = int((here / "broken").read_text())
    if (here / "runs").read_text().count("ruff") <= failures:
        sys.exit("the index is on fire")
known = json.loads((here / "known.json").read_text())
dependencies = []
for name, version in re.findall(r"^(\\S+)==(\\S+) --hash", lock, re.M):
    if name in known:
        dependencies.append({"name": name, "version": version, "vulns": known[name]})
    else:
        dependencies.append({"name": name, "skip_reason": f"not found: {name} ({version})"})
print(json.dumps({"dependencies": dependencies, "fixes": []}))
sys.exit(any(one.get("vulns") for one in dependencies))
"""
CYCLONEDX: Final = """
import json, pathlib, re, sys
here = pathlib.Path(__file__).parent
if (here / "invalid").exists():
    sys.exit("the list is not valid")
lock = pathlib.Path(sys.argv[2])
pins = re.findall(r"^(\\S+)==(\\S+) --hash=sha256:(\\S+)", lock.read_text(), re.M)
left_out = here / f"left_out_of_{lock.name}"
left_out = left_out.read_text() if left_out.exists() else ""
pathlib.Path(sys.argv[sys.argv.index("--output-file") + 1]).write_text(json.dumps({"components": [
    {"name": name, "version": version, "purl": "-",
     "externalReferences": [{"hashes": [{"alg": "SHA-256", "content": content}]}]}
    for name, version, content in pins if name != left_out]}))
"""


class Index(BaseHTTPRequestHandler):
    """Pages by path; a text is sent as it is, a number is the status alone, a list has one for each request."""

    pages: dict[str, Any]

    def do_GET(self) -> None:
        page = self.pages.get(self.path, 404)
        if isinstance(page, list):
            page = page.pop(0)
        if isinstance(page, int):
            self.send_response(page)
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(page.encode() if isinstance(page, str) else json.dumps(page).encode())

    def log_message(self, *arguments: object) -> None:
        """Nothing is printed."""


class Checkout:
    """A checkout with two locks, the tools, and an index."""

    def __init__(self, root: Path, address: str, pages: dict[str, Any]) -> None:
        self.root = root
        self.address = address
        self.tools = root / "tools"
        self.paused: list[float] = []
        self._pages = pages
        (root / "infra/locks").mkdir(parents=True)
        (root / "infra/supply_chain").mkdir()
        self.tools.mkdir()
        (root / "requirements.txt").write_text(f"boto3==1.0 --hash=sha256:{A}\n")
        (root / "infra/locks/dev.txt").write_text(
            f"chalice==1.3 --hash=sha256:{A}\nruff==0.1 --hash=sha256:{A}\n"
        )
        self.accept("")
        self.knows(ruff=[])
        for name, text in (("pip-audit", PIP_AUDIT), ("cyclonedx-py", CYCLONEDX)):
            program = self.tools / name
            program.write_text(f"#!{sys.executable}\n{text}")
            program.chmod(0o755)

    def accept(self, text: str) -> None:
        (self.root / "infra/supply_chain/accepted.toml").write_text(text)

    def knows(self, **vulnerabilities: list[dict[str, Any]]) -> None:
        """pip-audit finds its page of these packages, and of what runs."""
        runs: dict[str, list[dict[str, Any]]] = {"boto3": [], "chalice": []}
        (self.tools / "known.json").write_text(json.dumps(runs | vulnerabilities))

    def page(self, project: str, content: Any) -> None:
        self._pages[f"/pypi/{project}/json"] = content

    def newest(self, project: str, version: str, *vulnerabilities: dict[str, Any]) -> None:
        self.page(project, {"info": {"version": version}, "vulnerabilities": list(vulnerabilities)})

    def audit(self, *arguments: str) -> int:
        own = ["--tools", str(self.tools), "--out", str(self.root / "build")]
        pause = self.paused.append
        return main([*own, *arguments], ProjectPages(self.address, pause), self.root, pause)


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    pages: dict[str, Any] = {}
    handler = type("Served", (Index,), {"pages": pages})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield Checkout(tmp_path, f"http://127.0.0.1:{server.server_port}/pypi", pages)
    server.shutdown()
    thread.join()
    server.server_close()


def test_nothing_known_passes_and_leaves_a_list_of_each_lock(
    checkout: Checkout, capsys: pytest.CaptureFixture[str]
) -> None:
    assert checkout.audit("--strict") == 0
    assert capsys.readouterr().out.splitlines() == [
        "what runs in Lambda: 2 packages, 0 vulnerabilities, 0 not audited",
        "what builds and tests it: 1 packages, 0 vulnerabilities, 0 not audited",
    ]
    listed = json.loads((checkout.root / "build/sbom.json").read_text())["components"]
    # Chalice is in the package, too, though it is a tool's lock that has it.
    assert [one["name"] for one in listed] == ["boto3", "chalice"]
    assert (checkout.root / "build/sbom-dev.json").exists()
    assert checkout.paused == []


@pytest.mark.parametrize("package", ["boto3", "chalice", "ruff"])
def test_vulnerability_in_either_group_fails(
    checkout: Checkout, package: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["2.0"], "description": "-"}]
    checkout.knows(**{"ruff": [], package: found})
    assert checkout.audit() == 1
    printed = capsys.readouterr().out
    assert "AUDIT FAILED: 1" in printed
    assert f"  {package} " in printed
    assert "PYSEC-1, CVE-1; fixed in 2.0" in printed


def test_vulnerability_on_the_second_look_fails(
    checkout: Checkout, capsys: pytest.CaptureFixture[str]
) -> None:
    checkout.knows()
    checkout.newest("ruff", "0.1", FINDING)
    assert checkout.audit() == 1
    assert "ruff 0.1 (infra/locks/dev.txt): CVE-1, PYSEC-1" in capsys.readouterr().out


def test_accepted_vulnerability_passes_and_is_told(
    checkout: Checkout, capsys: pytest.CaptureFixture[str]
) -> None:
    checkout.knows()
    checkout.newest("ruff", "0.1", FINDING)
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date()
    entry = (
        f'[[accepted]]\npackage = "ruff"\nid = "CVE-1"\nreason = "offline"\nexpires = {tomorrow}\n'
    )
    assert tomllib.loads(entry)
    checkout.accept(entry)
    assert checkout.audit("--strict") == 0
    assert f"until {tomorrow}: offline" in capsys.readouterr().out


def test_expired_entry_fails_before_anybody_is_asked(
    checkout: Checkout, capsys: pytest.CaptureFixture[str]
) -> None:
    checkout.accept(
        '[[accepted]]\npackage = "ruff"\nid = "CVE-1"\nreason = "-"\nexpires = 2026-01-01\n'
    )
    assert checkout.audit() == 1
    assert "was accepted until 2026-01-01" in capsys.readouterr().err
    assert not (checkout.tools / "runs").exists()


SILENCE: Final[dict[str, Any]] = {
    "no page": 404,
    "another release": {"info": {"version": "0.2"}, "vulnerabilities": []},
}
NO_ANSWER: Final[dict[str, Any]] = {
    "failure": 503,
    "refusal": 403,
    "too many requests": 429,
    "no list": {"info": {"version": "0.1"}},
    "no JSON": "<html>",
}


@pytest.mark.parametrize("page", SILENCE.values(), ids=SILENCE)
def test_silence_is_counted_and_fails_where_it_must_not_be(
    checkout: Checkout, page: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    checkout.knows()
    checkout.page("ruff", page)
    assert checkout.audit() == 0
    printed = capsys.readouterr().out
    assert "NOT AUDITED: the index did not tell about 1 packages\n  ruff 0.1 " in printed
    assert checkout.audit("--strict") == 1
    assert "AUDIT FAILED: 1\n  the index did not tell about 1 packages" in capsys.readouterr().out
    assert checkout.paused == []


@pytest.mark.parametrize("page", NO_ANSWER.values(), ids=NO_ANSWER)
def test_what_is_no_answer_is_asked_for_again_and_is_no_silence(
    checkout: Checkout, page: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    checkout.knows()
    checkout.page("ruff", page)
    assert checkout.audit() == 1
    printed = capsys.readouterr()
    assert "AUDIT FAILED: the index could not be asked about ruff in 5 tries: " in printed.err
    assert "NOT AUDITED" not in printed.out
    assert checkout.paused == [*index.PAUSES] == [1, 2, 4, 8]


def test_index_that_is_away_fails(checkout: Checkout, capsys: pytest.CaptureFixture[str]) -> None:
    checkout.knows()
    with nobody() as port:
        checkout.address = f"http://127.0.0.1:{port}/pypi"
        assert checkout.audit() == 1
    assert "AUDIT FAILED: the index could not be asked about ruff" in capsys.readouterr().err
    assert checkout.paused == [*index.PAUSES]


@pytest.mark.parametrize("last", [{"info": {"version": "0.1"}, "vulnerabilities": []}, 404])
def test_index_that_answers_the_fifth_time_has_answered(checkout: Checkout, last: Any) -> None:
    checkout.knows()
    checkout.page("ruff", [503, "<html>", 502, 429, last])
    assert checkout.audit() == 0
    assert checkout.paused == [*index.PAUSES]


def test_tool_that_fails_is_asked_again_but_not_for_ever(
    checkout: Checkout, capsys: pytest.CaptureFixture[str]
) -> None:
    (checkout.tools / "broken").write_text("2")
    assert checkout.audit() == 0
    assert checkout.paused == [*tools.PAUSES] == [5, 20]
    (checkout.tools / "broken").write_text("1000")
    assert checkout.audit() == 1
    assert checkout.paused == [*tools.PAUSES] * 2
    assert "AUDIT FAILED: pip-audit told nothing in 3 tries: the index is on fire" in (
        capsys.readouterr().err
    )


def test_tool_that_is_not_installed_fails(
    checkout: Checkout, capsys: pytest.CaptureFixture[str]
) -> None:
    (checkout.tools / "cyclonedx-py").unlink()
    assert checkout.audit() == 1
    assert "cyclonedx-py can't be started" in capsys.readouterr().err


def test_list_that_lacks_a_locked_package_fails(
    checkout: Checkout, capsys: pytest.CaptureFixture[str]
) -> None:
    (checkout.tools / "left_out_of_dev.txt").write_text("ruff")
    assert checkout.audit() == 1
    assert "sbom-dev.json is not what dev.txt locks: ruff 0.1 is not listed" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(
    "lines", ["", "chalice==1.3 --hash=sha256:{A}\nchalice==1.4 --hash=sha256:{A}\n"]
)
def test_chalice_that_is_not_locked_once_fails(
    checkout: Checkout, lines: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = lines.replace("{A}", A) + f"ruff==0.1 --hash=sha256:{A}\n"
    (checkout.root / "infra/locks/dev.txt").write_text(text)
    assert checkout.audit() == 1
    assert f"dev.txt locks chalice, which is shipped, {lines.count('==')} times" in (
        capsys.readouterr().err
    )


def test_list_of_what_runs_without_chalice_fails(
    checkout: Checkout, capsys: pytest.CaptureFixture[str]
) -> None:
    (checkout.tools / "left_out_of_requirements.txt").write_text("chalice")
    assert checkout.audit() == 1
    assert "sbom.json is not what requirements.txt locks: chalice 1.3 is not listed" in (
        capsys.readouterr().err
    )


def test_list_that_is_not_valid_fails(
    checkout: Checkout, capsys: pytest.CaptureFixture[str]
) -> None:
    (checkout.tools / "invalid").touch()
    assert checkout.audit() == 1
    assert "the list is not valid" in capsys.readouterr().err
