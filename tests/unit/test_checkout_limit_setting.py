"""How many checkouts a minute an environment allows, as its settings say."""

import pytest

from chalicelib import settings, wiring
from chalicelib.settings import SettingsError

BASE = {"PAYGRADE_PUBLIC_URL": "https://api.example.test"}


def test_checkout_limit_is_five_unless_the_variable_says_otherwise() -> None:
    assert wiring.build(settings.load(BASE)).environment.checkouts_per_minute == 5
    loaded = settings.load({**BASE, "PAYGRADE_CHECKOUTS_PER_MINUTE": "2"})
    assert wiring.build(loaded).environment.checkouts_per_minute == 2


@pytest.mark.parametrize("text", ["", "0", "-1", "five", "1.5"])
def test_checkout_limit_that_is_none_is_refused_by_the_variables_name(text: str) -> None:
    with pytest.raises(SettingsError, match="PAYGRADE_CHECKOUTS_PER_MINUTE"):
        settings.load({**BASE, "PAYGRADE_CHECKOUTS_PER_MINUTE": text})
