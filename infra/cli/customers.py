"""`paygrade customers import`: the customers and subscriptions that a billing provider has already become ours."""

from collections import Counter
from typing import Annotated, Any, Final

import typer

from infra.cli.paths import path
from infra.cli.session import Session, command

app = typer.Typer(no_args_is_help=True, help="Customers.")

_COLUMNS: Final = ("action", "billing_id", "customer_id", "reason", "subscriptions")


@app.callback()
def customers() -> None:
    """Customers."""


@command
def import_customers(
    session: Session,
    *,
    apply: Annotated[
        bool, typer.Option("--apply", help="Write it. Without: only tell what would be.")
    ] = False,
    provider: Annotated[
        str | None, typer.Option("--provider", metavar="NAME", help="Whose customers.")
    ] = None,
    id_key: Annotated[
        str, typer.Option("--id-key", metavar="KEY", help="The metadata that holds our id.")
    ] = "customer_id",
    cursor: Annotated[
        str | None, typer.Option("--cursor", metavar="CURSOR", help="Go on from there.")
    ] = None,
) -> int:
    """Take over the customers and subscriptions that a billing provider has; nothing is changed there.

    What was cut off goes on with `--cursor`, or begins anew: whoever is known by then stays as it is. Ends with 1 if
    there are conflicts.
    """
    body: dict[str, Any] = {"dry_run": not apply, "id_key": id_key}
    if provider is not None:
        body["provider"] = provider
    counts: Counter[str] = Counter()
    unmapped: set[str] = set()
    found: list[dict[str, Any]] = []
    while True:
        step = body | ({} if cursor is None else {"cursor": cursor})
        done = session.api.post(path("customers", "import"), step)
        found += done["customers"]
        counts.update(one["action"] for one in done["customers"])
        counts["subscriptions"] += done["counts"]["subscriptions"]
        unmapped.update(key for one in done["customers"] for key in one["unmapped_prices"])
        cursor = done["next_cursor"]
        if cursor is None:
            break
        session.output.note(f"{len(found)} customers; go on with --cursor '{cursor}'")
    session.output.data({"customers": found, "unmapped_prices": sorted(unmapped)})
    rows = [tuple(_text(one[name]) for name in _COLUMNS) for one in found]
    session.output.table(_COLUMNS, rows, empty="The provider has no customers.")
    for price in sorted(unmapped):
        session.output.note(f"no plan of ours charges the price {price}")
    verb = "" if apply else " would be"
    session.output.line(
        f"{counts['create']} customers{verb} created, {counts['link']} linked, {counts['known']} known; "
        f"{counts['subscriptions']} subscriptions, {counts['conflict']} conflicts, {len(unmapped)} unmapped prices."
    )
    return 1 if counts["conflict"] else 0


def _text(value: object) -> str:
    return "" if value is None else str(value)


app.command("import")(import_customers)
