"""The `chalice` command, which waits in naps of five seconds for what the emulator has done at once."""

import time
from typing import Final, SupportsIndex

from chalice.cli import main

LONGEST_NAP_SECONDS: Final = 0.05
sleep = time.sleep


def nap(seconds: SupportsIndex | float) -> None:
    sleep(min(float(seconds), LONGEST_NAP_SECONDS))


time.sleep = nap
raise SystemExit(main())
