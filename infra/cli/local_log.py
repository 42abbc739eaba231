"""The local stack's log: one file for all that the app writes, so that the terminal stays readable."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Final

from infra.local.errors import LocalStackError

LOG_FILE: Final = "paygrade.log"
KEPT_BYTES: Final = 20 * 1024 * 1024
FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


@contextmanager
def logged_in(state_dir: Path) -> Iterator[None]:
    """What the block prints and logs is in the folder's log file; so is why it failed.

    Raises:
        LocalStackError: The folder can't be written to.
    """
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = state_dir / LOG_FILE
        if path.exists() and path.stat().st_size > KEPT_BYTES:
            path.replace(path.with_suffix(".log.1"))
        log = path.open("a", buffering=1, encoding="utf-8")
    except OSError as error:
        raise LocalStackError(
            f"Cannot keep anything in {state_dir} ({error.strerror}):"
            " choose another folder with --state-dir."
        ) from error
    root = logging.getLogger()
    handler = logging.StreamHandler(log)
    handler.setFormatter(logging.Formatter(FORMAT))
    with log, redirect_stdout(log):
        root.addHandler(handler)
        try:
            yield
        except LocalStackError:
            raise
        except Exception:
            logging.getLogger(__name__).exception("the stack failed")
            raise
        finally:
            root.removeHandler(handler)
