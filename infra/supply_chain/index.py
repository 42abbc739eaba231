"""What the package index says of a project's newest release: the second look at what pip-audit could not find.

pip-audit asks for the page of the very release, which mirrors tend not to have. They have the project's page, whose
list of vulnerabilities is that of its newest release.
"""

import time
from http import HTTPStatus
from http.client import HTTPException
from typing import Final
from urllib.error import HTTPError
from urllib.request import urlopen

from pip._internal.models.index import PyPI
from pydantic import BaseModel, ValidationError

from infra.supply_chain.errors import AuditError
from infra.supply_chain.tries import Sleep, tries

PAUSES: Final = (1, 2, 4, 8)
_TIMEOUT_SECONDS: Final = 20


class IndexSilentError(Exception):
    """The index has said that it has no such page."""


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

    def __init__(self, address: str = PyPI.pypi_url, sleep: Sleep = time.sleep) -> None:
        """No request is made."""
        self._address = address
        self._sleep = sleep

    def newest(self, project: str) -> Newest:
        """The project's newest release.

        Raises:
            IndexSilentError: It has no such page.
            AuditError: It gave no answer, or none that says so or is such a page, however often it was asked.
        """
        url = f"{self._address}/{project}/json"
        told = ""
        for _ in tries(PAUSES, self._sleep):
            try:
                with urlopen(url, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310  # nosec B310  # the scheme is pip's
                    return Newest.model_validate_json(answer.read())
            except HTTPError as error:
                error.close()
                if error.code == HTTPStatus.NOT_FOUND:
                    raise IndexSilentError(f"the page of {project}: {error}") from error
                told = str(error)
            except (OSError, HTTPException) as error:
                told = str(error)
            except ValidationError as error:
                told = f"its page lacks what is looked for: {error}"
        raise AuditError(
            f"the index could not be asked about {project} in {len(PAUSES) + 1} tries: {told}"
        )
