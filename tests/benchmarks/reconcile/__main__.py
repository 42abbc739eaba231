"""A reconciliation of very many customers: how many calls, invocations and hours it takes, and how much memory.

Run: `.venv/bin/python -m tests.benchmarks.reconcile [--customers 100000] [--json FILE]`.

Everything is in memory, so calls are counted exactly; the hours are what the calls take at reconciliation's share of
Stripe's limit. It fails where a slice or its memory grows with the number of customers.
"""

import argparse
import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks.reconcile.measure import measure


def main() -> None:
    """The figures are printed, and written as JSON where that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures = measure(options.customers)
    table = Table("figure", "value")
    for name, value in figures.items():
        table.add_row(name, f"{value:,.2f}" if isinstance(value, float) else f"{value:,}")
    Console().print(table)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
