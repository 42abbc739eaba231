"""Every kind of drift is on the page that tells operators what is done about it."""

from pathlib import Path

from chalicelib.domain.reconciliations import DriftKind, Phase

PAGE = Path(__file__).parents[2] / "infra" / "docs" / "reconciliation.md"


def test_every_kind_of_drift_and_every_phase_is_documented() -> None:
    text = PAGE.read_text()
    missing = [name for name in (*DriftKind, *Phase) if f"`{name}`" not in text]
    assert not missing
