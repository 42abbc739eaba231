"""What a check loads before it is asked anything."""

import subprocess
import sys

import pytest

HEAVY = {"pynamodb", "pydantic", "boto3", "botocore", "stripe"}


@pytest.mark.parametrize(
    "module",
    [
        "chalicelib.adapters.dynamodb.snapshot_reader",
        "chalicelib.adapters.dynamodb.hot_reader",
        "chalicelib.adapters.dynamodb.keys",
        "chalicelib.adapters.dynamodb.quick_keys",
        "chalicelib.adapters.dynamodb.quick_store",
        "chalicelib.adapters.aws_failures",
        "chalicelib.adapters.sqs",
        "chalicelib.adapters.system",
        "chalicelib.api.routing",  # and with it the quick check
        "chalicelib.wiring",
    ],
)
def test_import_brings_no_sdk(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert HEAVY.isdisjoint(found.split())
