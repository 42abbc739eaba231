"""The built package: small, whole, compiled, and nothing in it that nobody needs."""

import importlib.util
import json
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import app
from chalicelib.api import openapi
from infra.packaging.build import Report, build
from infra.packaging.errors import PackagingError
from infra.packaging.target import running_python
from tests.integration.packaging.conftest import HERE, ROOT

MAX_ZIP_BYTES = 12_000_000
CHECK = "/v1/customers/{customer_id}/entitlements/{feature_id}"
PUBLIC_URL = "https://paygrade.example.test"
UNCHECKED_HASH = 0b01  # PEP 552: by hash, and nobody looks at the source


def run_inside(task_root: Path, code: str) -> str:
    """What the code prints with the package and the standard library and nothing else to import from."""
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, '.')\n{code}"],
        cwd=task_root,
        env={
            "PATH": os.environ["PATH"],
            "AWS_DEFAULT_REGION": "us-east-1",
            "PAYGRADE_PUBLIC_URL": PUBLIC_URL,
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_zip_is_small_enough(package: Report) -> None:
    assert package.zip_bytes <= MAX_ZIP_BYTES, dict(package.parts)


def test_time_zones_are_in_the_package(task_root: Path) -> None:
    code = """
import zoneinfo
zoneinfo.reset_tzpath(to=())
from chalicelib.domain.periods import time_zone
print(*(time_zone(name).key for name in ("Europe/Berlin", "America/Indiana/Knox", "UTC")))
"""
    assert run_inside(task_root, code).split() == ["Europe/Berlin", "America/Indiana/Knox", "UTC"]


def test_zip_holds_each_file_once(names: list[str]) -> None:
    assert [name for name, count in Counter(names).items() if count > 1] == []


def test_zip_holds_the_app_and_its_runtime_and_no_folder_of_the_shell(names: list[str]) -> None:
    assert {"app.py", "chalicelib/wiring/billing.py", "chalice/app.py"} <= set(names)
    assert not [name for name in names if name.startswith(("infra/", "tests/", "vendor/", "."))]
    assert not [name for name in names if "/tests/" in name]


def test_every_module_is_compiled_so_that_lambda_believes_it(package: Report) -> None:
    with zipfile.ZipFile(package.zip) as archive:
        names = set(archive.namelist())
        for name in names:
            if name.endswith(".pyc"):
                header = archive.read(name)[:8]
                assert header[:4] == importlib.util.MAGIC_NUMBER, name
                assert int.from_bytes(header[4:], "little") == UNCHECKED_HASH, name
            elif name.endswith(".py"):
                assert importlib.util.cache_from_source(name) in names, name


def test_certificates_are_in_it_once(names: list[str]) -> None:
    assert [name for name in names if name.endswith(".pem")] == ["certifi/cacert.pem"]


def test_only_used_services_are_in_it(package: Report, names: list[str]) -> None:
    folders = {name.split("/")[2] for name in names if name.startswith("botocore/data/")}
    assert {one for one in folders if "." not in one} == set(package.services)
    assert {"dynamodb", "sqs"} <= set(package.services)


def test_package_alone_imports_the_app_and_makes_its_clients(
    package: Report, task_root: Path
) -> None:
    code = f"""
import app, chalicelib.wiring, stripe, pynamodb.models, json, sysconfig
from boto3.session import Session
for service in {package.services!r}:
    Session().client(service)
stdlib = sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")
places = [getattr(module, "__file__", None) or "" for module in list(sys.modules.values())]
print(json.dumps([one for one in places if one and not one.startswith((*stdlib, sys.path[0]))]))
"""
    outside = [
        place
        for place in json.loads(run_inside(task_root, code))
        if not Path(place).is_relative_to(task_root)
    ]
    assert outside == []


def test_request_imports_no_noun_but_its_own_and_docs_have_them_all(task_root: Path) -> None:
    code = f"""
import json
import app
def call(method, path, resource):
    return app.app({{
        "resource": resource, "path": path, "httpMethod": method, "headers": {{}},
        "multiValueHeaders": {{}}, "queryStringParameters": None, "stageVariables": None,
        "multiValueQueryStringParameters": None, "body": None, "isBase64Encoded": False,
        "pathParameters": {{"customer_id": "a", "feature_id": "b"}},
        "requestContext": {{"resourcePath": resource, "httpMethod": method, "requestId": "r",
            "path": path, "identity": {{"sourceIp": "192.0.2.1"}}}},
    }}, None)
check = call("GET", "/v1/customers/a/entitlements/b", {CHECK!r})
nouns = sorted(name for name in sys.modules if name.startswith("chalicelib.api."))
preflight = call("OPTIONS", "/v1/customers/a/entitlements/b", {CHECK!r})
document = json.loads(call("GET", "/openapi.json", "/openapi.json")["body"])
print(json.dumps([check["statusCode"], nouns, preflight["statusCode"], document]))
"""
    *_, last = run_inside(task_root, code).splitlines()
    status, modules, preflight, document = json.loads(last)
    assert (status, preflight) == (401, 204)
    assert {"chalicelib.api.catalog_models", "chalicelib.api.plans"}.isdisjoint(modules)
    whole = openapi.document(app.app.routes, PUBLIC_URL)
    assert list(document["paths"]) == list(whole["paths"])
    assert document == json.loads(json.dumps(whole))


def test_built_again_without_an_index_it_is_the_same_to_the_byte(
    package: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    again = build(ROOT, tmp_path / "again", architecture=HERE, python_version=running_python())
    assert again.zip.read_bytes() == package.zip.read_bytes()
    assert again.zip.name == package.zip.name


def test_configuration_says_what_it_was_built_for(package: Report) -> None:
    config = json.loads((package.project / ".chalice/config.json").read_text())
    assert config["lambda_architecture"] == HERE
    deployed = package.project / ".chalice/deployed"
    assert deployed.resolve() == (ROOT / ".chalice/deployed").resolve()


def test_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(PackagingError, match="name another folder"):
        build(ROOT, tmp_path, architecture=HERE, python_version=running_python())
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def checkout_in(folder: Path) -> Path:
    """A copy of what is packaged of this checkout."""
    for part in ("chalicelib", ".chalice"):
        ignored = shutil.ignore_patterns("__pycache__", "deployed")
        shutil.copytree(ROOT / part, folder / part, ignore=ignored)
    for part in ("app.py", "requirements.txt"):
        shutil.copy(ROOT / part, folder)
    (folder / ".cache").symlink_to((ROOT / ".cache").resolve())
    return folder


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


def test_everybody_may_read_every_file(package: Report) -> None:
    with zipfile.ZipFile(package.zip) as archive:
        modes = {stat.filemode(one.external_attr >> 16) for one in archive.infolist()}
    # Without folders: whoever unpacks it makes those as it needs them.
    assert modes <= {"-rw-r--r--", "-rwxr-xr-x"}


@pytest.mark.usefixtures("umask")
def test_builder_who_keeps_files_private_ships_the_same_zip(
    package: Report, tmp_path: Path
) -> None:
    checkout = checkout_in(tmp_path / "checkout")
    for path in (*(checkout / "chalicelib").rglob("*"), checkout / "app.py"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    again = build(checkout, tmp_path / "out", architecture=HERE, python_version=running_python())
    assert stat.filemode((again.project / "app.py").stat().st_mode) == "-rw-------"
    assert again.zip.read_bytes() == package.zip.read_bytes()


def test_stage_for_another_processor_is_refused(tmp_path: Path) -> None:
    project = checkout_in(tmp_path / "project")
    config = {"stages": {"prod": {"lambda_architecture": "other"}}}
    (project / ".chalice/config.json").write_text(json.dumps(config))
    with pytest.raises(PackagingError, match="'prod'"):
        build(project, tmp_path / "out", architecture=HERE, python_version=running_python())
