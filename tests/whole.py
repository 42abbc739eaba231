"""Whether the suites that run a share of what they can shall run all of it: `PAYGRADE_TESTS=whole make test`."""

import os
from typing import Final

WHOLE: Final = os.environ.get("PAYGRADE_TESTS") == "whole"
