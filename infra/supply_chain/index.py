"""What the package index says of a project's newest release: the second look at what pip-audit could not find.

pip-audit asks for the page of the very release, which mirrors tend not to have. They have the project's page, whose
list of vulnerabilities is that of its newest release.
"""

from http.client import HTTPException
from typing import Final
from urllib.request import urlopen

from pip._internal.models.index import PyPI
from pydantic import BaseModel, ValidationError

_TIMEOUT_SECONDS: Final = 20


class IndexSilentError(Exception):
    """The index does not say."""


class Vulnerability(BaseModel):
    """One of a release."""

    id: str
    aliases: list[str] = []
    fixed_in: list[str] = []
    withdrawn: str | None = None


class _Info(BaseModel):
    version: str


class Newest(BaseModel):
    """The project's page: its newest release and what is known of that."""

    info: _Info
    vulnerabilities: list[Vulnerability]


class ProjectPages:
    """The pages of the index that pip installs from by default (ours is pip-audit's, too)."""

    def __init__(self, address: str = PyPI.pypi_url) -> None:
        """No request is made."""
        self._address = address

    def newest(self, project: str) -> Newest:
        """The project's newest release.

        Raises:
            IndexSilentError: It has no such page, or no list of vulnerabilities on it, or can't be asked.
        """
        url = f"{self._address}/{project}/json"
        try:
            with urlopen(url, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310  # nosec B310  # the scheme is pip's
                return Newest.model_validate_json(answer.read())
        except ValidationError as error:
            raise IndexSilentError(
                f"the page of {project} lacks what is looked for: {error}"
            ) from error
        except (OSError, HTTPException) as error:  # what HTTP refuses is an OSError, too
            raise IndexSilentError(f"the page of {project}: {error}") from error
