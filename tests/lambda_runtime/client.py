"""Lambda's own runtime client for Python, installed from its lock into a folder of its own."""

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
LOCK: Final = ROOT / "infra" / "locks" / "lambda.txt"
CACHE: Final = ROOT / ".cache" / "lambda-runtime"


def runtime_client() -> Path:
    """A folder to import `awslambdaric` from; made once for each lock and interpreter."""
    digest = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()[:24]
    ready = CACHE / digest
    if not ready.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="making-", dir=CACHE) as folder:
            made = Path(folder) / "packages"
            subprocess.run(
                [
                    *(sys.executable, "-m", "pip", "install", "--disable-pip-version-check"),
                    *("--quiet", "--require-hashes", "--no-deps", "--only-binary=:all:"),
                    *("--target", str(made), "--requirement", str(LOCK)),
                ],
                check=True,
                capture_output=True,
            )
            try:
                made.rename(ready)
            except OSError:
                if not ready.is_dir():  # somebody else has just made the same
                    raise
    return ready
