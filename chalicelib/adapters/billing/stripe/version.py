"""The version of Stripe's API that this adapter speaks: the one that the SDK pins and sends."""

from typing import Final

# Events come in the version of their webhook endpoint; one that differs is worth an alarm.
API_VERSION: Final = "2026-10-28.endive"
