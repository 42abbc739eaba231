"""No rule and no use case knows a billing provider by name: adding one changes neither."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from chalicelib.wiring.billing import PROVIDERS

ROOT = Path(__file__).parents[2]
NEUTRAL = [
    *sorted((ROOT / "chalicelib/ports").rglob("*.py")),
    *sorted((ROOT / "chalicelib/domain").rglob("*.py")),
    *sorted((ROOT / "chalicelib/services").rglob("*.py")),
]


def spelled(source: str) -> Iterator[tuple[int, str]]:
    """Every name and every text of the code; not comments, which may say where a bound comes from."""
    for node in ast.walk(ast.parse(source)):
        for text in (
            getattr(node, "id", None),
            getattr(node, "attr", None),
            getattr(node, "name", None),
            getattr(node, "arg", None),
            getattr(node, "module", None),
            getattr(node, "value", None) if isinstance(node, ast.Constant) else None,
        ):
            if isinstance(text, str):
                yield getattr(node, "lineno", 0), text


def named(source: str) -> list[tuple[int, str]]:
    word = re.compile(rf"(?<![a-z])({'|'.join(PROVIDERS)})(?![a-z])", re.IGNORECASE)
    return [(line, found[0]) for line, text in spelled(source) for found in word.finditer(text)]


@pytest.mark.parametrize("path", NEUTRAL, ids=lambda path: str(path.relative_to(ROOT)))
def test_module_names_no_billing_provider(path: Path) -> None:
    assert named(path.read_text()) == []


def test_names_are_found_wherever_code_spells_them() -> None:
    for source in (
        "import stripe",
        "from chalicelib.adapters.billing.stripe import x",
        "if provider == 'stripe': pass",
        "STRIPE_LIFETIME = 1",
        "def by_stripe(): pass",
        "def f(manual=None): pass",
        "x.stripe_id",
        '"""As Stripe has it."""',
    ):
        assert named(source), source
    assert not named("x = 'by hand'  # docs.stripe.com says so\nmanually = 1")
