"""Which AWS services the code speaks to: read off the code, so that the package can leave all others out."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from infra.packaging.errors import PackagingError

# PynamoDB makes its client itself.
_OF_LIBRARIES: Final = {"pynamodb": "dynamodb"}


def used_services(source: Path) -> frozenset[str]:
    """The services of every `client("...")` and of the libraries that make clients of their own.

    Raises:
        PackagingError: A client's service is not spelled out, so nobody can tell what it needs.
    """
    return frozenset(
        service for file in sorted(source.rglob("*.py")) for service in _services(file)
    )


def _services(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.Call(func=ast.Attribute(attr="client" | "create_client"), args=[first, *_]):
                if not (isinstance(first, ast.Constant) and isinstance(first.value, str)):
                    raise PackagingError(
                        f'{file}:{node.lineno}: write the service out, as in client("sqs"): the package'
                        " holds only the services that the code names."
                    )
                yield first.value
            case ast.Call(
                func=ast.Attribute(attr="resource"), args=[ast.Constant(value=str()), *_]
            ):
                raise PackagingError(
                    f"{file}:{node.lineno}: use a client: the package has no boto3 resources."
                )
            case ast.ImportFrom(module=str(name)) if name.split(".")[0] in _OF_LIBRARIES:
                yield _OF_LIBRARIES[name.split(".")[0]]
