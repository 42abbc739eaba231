"""Which known vulnerabilities we live with, why, and until when: the list in accepted.toml beside this file."""

import tomllib
from collections import Counter
from datetime import date, timedelta
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from infra.supply_chain.errors import AuditError

LONGEST_DAYS: Final = 184

_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Accepted(BaseModel):
    """One vulnerability of one package."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    package: _Text
    id: _Text
    reason: _Text
    expires: date


class _List(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    accepted: list[Accepted] = []


def read_accepted(text: str, today: date) -> list[Accepted]:
    """Every entry; all hold today.

    Raises:
        AuditError: One lacks something, stands there twice, has expired or holds for too long.
    """
    try:
        entries = _List.model_validate(tomllib.loads(text)).accepted
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise AuditError(f"The list of accepted vulnerabilities can't be read: {error}") from error
    for (package, identifier), times in Counter((one.package, one.id) for one in entries).items():
        if times > 1:
            raise AuditError(f"{identifier} of {package} is accepted {times} times.")
    for one in entries:
        if one.expires < today:
            raise AuditError(
                f"{one.id} of {one.package} was accepted until {one.expires}: upgrade, or say anew why."
            )
        if one.expires > today + timedelta(days=LONGEST_DAYS):
            raise AuditError(
                f"{one.id} of {one.package} is accepted until {one.expires}: {LONGEST_DAYS} days are the most."
            )
    return entries
