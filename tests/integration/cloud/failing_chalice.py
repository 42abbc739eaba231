"""The `chalice` command without its naps, for which AWS fails at one operation."""

import runpy
import sys
from pathlib import Path
from typing import Any

from botocore.client import BaseClient

BROKEN = sys.argv.pop(1)
original = BaseClient._make_api_call  # type: ignore[attr-defined]
WITHOUT_NAPS = Path(__file__).parents[1] / "deploy" / "chalice_without_naps.py"


def call(self: Any, operation: str, arguments: Any) -> Any:
    if operation.lower() == BROKEN.replace("_", ""):
        raise SystemExit(f"{BROKEN} is broken")
    return original(self, operation, arguments)


BaseClient._make_api_call = call  # type: ignore[attr-defined]
runpy.run_path(str(WITHOUT_NAPS), run_name="__main__")
