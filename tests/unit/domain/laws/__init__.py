"""Laws: what holds for any customer whatsoever.

Each commit tries some examples. For thousands: `HYPOTHESIS_PROFILE=thorough .venv/bin/python -m pytest
tests/unit/domain/laws`.
"""
