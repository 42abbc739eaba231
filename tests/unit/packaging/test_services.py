"""Which AWS services the package gets."""

from pathlib import Path

import pytest

from infra.packaging.errors import PackagingError
from infra.packaging.services import used_services


def services_of(tmp_path: Path, source: str) -> frozenset[str]:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "module.py").write_text(source)
    return used_services(tmp_path)


def test_services_of_clients_and_of_libraries_are_found(tmp_path: Path) -> None:
    source = """
from pynamodb.models import Model
def f(session):
    from boto3.session import Session
    Session().client("sqs", region_name="x")
    session.create_client("ssm")
"""
    assert services_of(tmp_path, source) == {"dynamodb", "sqs", "ssm"}


def test_service_that_is_not_spelled_out_is_refused_by_its_place(tmp_path: Path) -> None:
    with pytest.raises(PackagingError, match=r"module\.py:2"):
        services_of(tmp_path, "name = 'sqs'\nsession.client(name)")


def test_resource_of_boto3_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackagingError, match="use a client"):
        services_of(tmp_path, "session.resource('dynamodb')")


def test_our_own_code_uses_what_it_is_known_to_use() -> None:
    root = Path(__file__).parents[3]
    assert {"dynamodb", "sqs"} <= used_services(root / "chalicelib")
