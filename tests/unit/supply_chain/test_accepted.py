"""Who accepts a vulnerability says which, why and until when; nothing else is taken."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from infra.supply_chain.accepted import LONGEST_DAYS, read_accepted
from infra.supply_chain.errors import AuditError

TODAY = date(2026, 12, 1)
LIST = Path(__file__).parents[3] / "infra/supply_chain/accepted.toml"


def entry(**changes: str) -> str:
    fields = {
        "package": '"ecdsa"',
        "id": '"CVE-2024-23342"',
        "reason": '"Nothing of ours signs with it."',
        "expires": "2026-12-31",
    } | changes
    lines = [f"{name} = {value}" for name, value in fields.items() if value]
    return "\n".join(["[[accepted]]", *lines, ""])


def test_entry_holds_up_to_and_with_its_last_day() -> None:
    (one,) = read_accepted(entry(), TODAY)
    assert (one.package, one.id, one.expires) == ("ecdsa", "CVE-2024-23342", date(2026, 12, 31))
    assert read_accepted(entry(), one.expires) == [one]
    with pytest.raises(AuditError, match="CVE-2024-23342 of ecdsa was accepted until 2026-12-31"):
        read_accepted(entry(), one.expires + timedelta(days=1))


def test_entry_for_longer_than_half_a_year_is_refused() -> None:
    last = TODAY + timedelta(days=LONGEST_DAYS)
    assert read_accepted(entry(expires=str(last)), TODAY)
    with pytest.raises(AuditError, match="184 days are the most"):
        read_accepted(entry(expires=str(last + timedelta(days=1))), TODAY)


@pytest.mark.parametrize(
    "bad",
    [
        {"package": ""},
        {"id": ""},
        {"reason": ""},
        {"expires": ""},
        {"reason": '"  "'},
        {"expires": '"2026-12-31"'},
        {"expires": "2026-12-31T00:00:00Z"},
        {"version": '"0.19"'},
        {"reason": "unquoted"},
    ],
)
def test_entry_that_lacks_something_or_has_more_is_refused(bad: dict[str, str]) -> None:
    with pytest.raises(AuditError, match="can't be read"):
        read_accepted(entry(**bad), TODAY)


def test_entry_that_stands_there_twice_is_refused() -> None:
    with pytest.raises(AuditError, match="accepted 2 times"):
        read_accepted(entry() + entry(reason='"Another one."'), TODAY)


def test_other_table_than_accepted_is_refused() -> None:
    with pytest.raises(AuditError, match="can't be read"):
        read_accepted('[[ignored]]\npackage = "ecdsa"\n', TODAY)


def test_our_own_list_says_how_in_words_that_are_true() -> None:
    text = LIST.read_text()
    read_accepted(text, TODAY)  # well-formed; `make audit` holds it against the day
    example = text.split("# [[accepted]]\n")[1]
    shown = "[[accepted]]\n" + "".join(
        line.removeprefix("# ") + "\n" for line in example.splitlines()[:4]
    )
    assert len(read_accepted(shown, TODAY)) == 1
