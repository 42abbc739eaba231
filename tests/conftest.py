"""What every test shares. Deliberately little: a folder's own needs live in its own conftest."""

import os

from hypothesis import HealthCheck, settings

from tests.whole import WHOLE

# Enough to find a broken rule on each commit; `thorough` is for a night: HYPOTHESIS_PROFILE=thorough.
# In CI the examples are the same each time: a change is judged by what it changed, not by the draw.
settings.register_profile(
    "quick",
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),
)
settings.register_profile("thorough", settings.get_profile("quick"), max_examples=3000)
settings.register_profile("long", settings.get_profile("thorough"))
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "thorough" if WHOLE else "quick"))
