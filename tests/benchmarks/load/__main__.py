"""The local stack under more clients than it can serve at once, and back; then everything is counted.

Run it on an idle machine: `.venv/bin/python -m tests.benchmarks.load [--clients 64] [--seconds 5] [--json FILE]`.

It ends with 1 if an answer was a 5xx other than 503, a 429 or 503 came without `Retry-After`, the stack did not
recover, a unit was counted that was not accepted (or the reverse), or an order left no subscription or two. Client and
stack share the machine, and the engine is emulated: the rates are their own.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from infra.local.ports import free_port
from tests.benchmarks.load.run import Load, Outcome
from tests.e2e.conftest import Stack

# One caller makes all the load: its bucket is not what is measured.
VARIABLES = {
    "PAYGRADE_REQUESTS_PER_SECOND": "1000000",
    "PAYGRADE_REQUESTS_BURST": "1000000",
}


def run(clients: int, seconds: float) -> Outcome:
    up = [one for one in (1, 4, 16) if one < clients]
    steps = [*((one, seconds) for one in (*up, clients)), (4, seconds / 2), (1, seconds / 2)]
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder) / "state", free_port(), free_port(), variables=VARIABLES)
        stack.start()
        try:
            return Load(stack.info["api_url"], stack.info["api_key"]).run(steps)
        finally:
            stack.stop()


def shown(outcome: Outcome) -> Table:
    table = Table("clients", "requests", "a second", "p50 ms", "p95 ms", "max ms", "answers")
    for step in outcome.steps:
        answers = ", ".join(f"{status}: {count}" for status, count in step.statuses.items())
        figures = (step.requests, step.per_second, step.p50_ms, step.p95_ms, step.max_ms)
        table.add_row(str(step.clients), *map(str, figures), answers)
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    outcome = run(options.clients, options.seconds)
    document = outcome.shown()
    console = Console()
    console.print(shown(outcome))
    console.print_json(data={name: value for name, value in document.items() if name != "steps"})
    if options.json:
        options.json.write_text(json.dumps(document, indent=2) + "\n")
    return 1 if document["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
