"""Every locked release is told about, or named as one that is not; a vulnerability passes only if accepted."""

from datetime import date
from threading import Lock

import pytest

from infra.supply_chain.accepted import Accepted
from infra.supply_chain.errors import AuditError
from infra.supply_chain.index import IndexSilentError, Newest
from infra.supply_chain.locks import Pin
from infra.supply_chain.tools import Audited, Found
from infra.supply_chain.verdict import SHARES, Told, ask, settle

SKIPPED = "Dependency not found"
MINERVA: dict[str, object] = {
    "id": "PYSEC-2026-1325",
    "aliases": ["CVE-2024-23342", "GHSA-wj6h-64fc-37mp"],
    "fixed_in": [],
    "withdrawn": None,
    "details": "more than is looked at",
}
SAME_AT_GITHUB: dict[str, object] = {
    "id": "GHSA-wj6h-64fc-37mp",
    "aliases": ["CVE-2024-23342", "PYSEC-2026-1325"],
    "fixed_in": ["0.20"],
    "withdrawn": None,
}


def pin(name: str, version: str = "1.0") -> Pin:
    return Pin(name, version, frozenset({f"sha256:{'a' * 64}"}), ("requirements.txt",))


class FakeTool:
    """Knows some packages, as pip-audit does, and skips the others."""

    def __init__(self, known: dict[str, list[Found]]) -> None:
        self.known = known
        self.asked: list[list[Pin]] = []
        self._lock = Lock()

    def audit(self, pins: list[Pin]) -> list[Audited]:
        with self._lock:
            self.asked.append(pins)
        return [
            Audited(name=one.name, version=one.version, vulns=self.known[one.name])
            if one.name in self.known
            else Audited(name=one.name, skip_reason=SKIPPED)
            for one in pins
        ]


class FakeIndex:
    """The newest releases and what is known of them."""

    def __init__(self, **pages: tuple[str, list[dict[str, object]]]) -> None:
        self.pages = pages
        self.asked: list[str] = []

    def newest(self, project: str) -> Newest:
        self.asked.append(project)
        if project not in self.pages:
            raise IndexSilentError("HTTP Error 404: Not Found")
        version, vulnerabilities = self.pages[project]
        return Newest.model_validate(
            {"info": {"version": version}, "vulnerabilities": vulnerabilities}
        )


def accepted(identifier: str, package: str = "ecdsa") -> Accepted:
    return Accepted(package=package, id=identifier, reason="never called", expires=date(2027, 1, 1))


def found(told: Told) -> list[tuple[str, tuple[str, ...]]]:
    return [(one.pin.name, one.ids) for one in told.findings]


def told_of_ecdsa() -> Told:
    return ask([pin("ecdsa")], FakeTool({}).audit, FakeIndex(ecdsa=("1.0", [MINERVA])))


def test_vulnerability_that_the_tool_finds_fails() -> None:
    tool = FakeTool({"six": [], "ecdsa": [Found(id="P-1", aliases=["C-1"], fix_versions=["2.0"])]})
    told = ask([pin("ecdsa"), pin("six")], tool.audit, FakeIndex())
    assert (found(told), told.unknown) == ([("ecdsa", ("P-1", "C-1"))], [])
    failures, lived_with = settle([told], [])
    assert failures == ["ecdsa 1.0 (requirements.txt): P-1, C-1; fixed in 2.0"]
    assert lived_with == []


def test_index_is_asked_only_about_what_the_tool_skipped() -> None:
    index = FakeIndex(ecdsa=("1.0", []))
    ask([pin("ecdsa"), pin("six")], FakeTool({"six": []}).audit, index)
    assert index.asked == ["ecdsa"]


def test_newest_release_that_the_tool_skipped_is_looked_up_and_found_under_one_name() -> None:
    index = FakeIndex(ecdsa=("1.0", [MINERVA, SAME_AT_GITHUB]))
    told = ask([pin("ecdsa")], FakeTool({}).audit, index)
    ids = ("CVE-2024-23342", "GHSA-wj6h-64fc-37mp", "PYSEC-2026-1325")
    assert found(told) == [("ecdsa", ids)]
    (failure,), _ = settle([told], [])
    assert failure.endswith("fixed in no release yet")


def test_vulnerability_that_was_withdrawn_is_none() -> None:
    withdrawn = MINERVA | {"withdrawn": "2026-01-01T00:00:00Z"}
    told = ask([pin("ecdsa")], FakeTool({}).audit, FakeIndex(ecdsa=("1.0", [withdrawn])))
    assert (told.findings, told.unknown) == ([], [])


def test_clean_page_of_another_release_says_nothing_of_ours() -> None:
    told = ask([pin("ecdsa")], FakeTool({}).audit, FakeIndex(ecdsa=("1.1", [])))
    assert [(str(one.pin), one.why) for one in told.unknown] == [
        ("ecdsa 1.0 (requirements.txt)", "the index tells of 1.1 alone")
    ]


def test_vulnerability_of_another_release_is_not_held_against_ours() -> None:
    told = ask([pin("ecdsa")], FakeTool({}).audit, FakeIndex(ecdsa=("1.1", [MINERVA])))
    assert (len(told.findings), len(told.unknown)) == (0, 1)


def test_silence_of_the_index_is_told_with_its_reason() -> None:
    told = ask([pin("ecdsa")], FakeTool({}).audit, FakeIndex())
    assert [(one.pin.name, one.why) for one in told.unknown] == [
        ("ecdsa", "HTTP Error 404: Not Found")
    ]
    assert settle([told], []) == ([], [])


def test_tool_is_never_asked_about_two_releases_of_a_package_at_once() -> None:
    pins = [
        *(pin("botocore", f"1.{minor}") for minor in range(SHARES)),
        pin("pip", "1"),
        pin("pip", "2"),
    ]
    tool = FakeTool({"botocore": [], "pip": []})
    told = ask(pins, tool.audit, FakeIndex())
    assert sorted(one for share in tool.asked for one in share) == sorted(pins)
    for share in tool.asked:
        assert len({one.name for one in share}) == len(share)
    assert (told.findings, told.unknown) == ([], [])


def test_no_packages_are_no_question() -> None:
    assert ask([], FakeTool({}).audit, FakeIndex()) == Told()


def test_tool_that_leaves_a_package_out_gives_no_verdict() -> None:
    with pytest.raises(AuditError, match="other packages"):
        ask([pin("ecdsa")], lambda _: [], FakeIndex())


@pytest.mark.parametrize("identifier", ["PYSEC-2026-1325", "CVE-2024-23342", "GHSA-wj6h-64fc-37mp"])
def test_accepted_vulnerability_passes_under_any_of_its_names_and_is_told(identifier: str) -> None:
    failures, lived_with = settle([told_of_ecdsa()], [accepted(identifier)])
    assert failures == []
    assert len(lived_with) == 1
    assert lived_with[0].endswith("until 2027-01-01: never called")


@pytest.mark.parametrize(
    "entry", [accepted("CVE-2024-00000"), accepted("CVE-2024-23342", package="rsa")]
)
def test_entry_of_another_vulnerability_or_package_accepts_nothing(entry: Accepted) -> None:
    failures, lived_with = settle([told_of_ecdsa()], [entry])
    assert lived_with == []
    assert len(failures) == 2  # the vulnerability, and the entry that nothing needs
    assert failures[1] == f"{entry.id} of {entry.package} is accepted, but not found: take it out"


def test_entry_of_a_package_that_nobody_tells_about_may_stay() -> None:
    told = ask([pin("ecdsa")], FakeTool({}).audit, FakeIndex())
    assert settle([told], [accepted("CVE-2024-23342")]) == ([], [])


def test_one_entry_is_for_the_package_in_both_groups() -> None:
    failures, lived_with = settle([told_of_ecdsa(), told_of_ecdsa()], [accepted("CVE-2024-23342")])
    assert (failures, len(lived_with)) == ([], 2)
