"""`python -m tests.simulation --seeds 10000`: many worlds, on all cores; a failing one is told by its shortest replay.

`--first N` begins elsewhere, `--steps N` makes the worlds longer, `--replay TEXT` lives through a reported one again.
"""

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from tests.simulation.run import STEPS, live_through, tried
from tests.simulation.world import read


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--replay")
    options = parser.parse_args()
    if options.replay:
        live_through(read(options.replay))
        print("holds")
        return 0
    began = time.monotonic()
    failures = 0
    seeds = range(options.first, options.first + options.seeds)
    with ProcessPoolExecutor(options.workers, max_tasks_per_child=200) as pool:
        work = partial(tried, steps=options.steps)
        for number, found in enumerate(pool.map(work, seeds, chunksize=4), start=1):
            if found is not None:
                failures += 1
                print(found, flush=True)
            if number % 100 == 0 or number == options.seeds:
                spent = time.monotonic() - began
                print(f"{number} worlds, {failures} broken, {spent:.0f} s", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
