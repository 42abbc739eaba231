"""`paygrade catalog import`: what an account at a billing provider sells already, as a file to edit and apply."""

from pathlib import Path
from typing import Annotated, Final

import typer

from infra.cli.errors import CliError
from infra.cli.paths import path
from infra.cli.session import Session, command

_COLUMNS: Final = ("severity", "billing_id", "reason", "detail")


@command
def import_catalog(
    session: Session,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="A new file. Without it: printed on stdout."),
    ] = None,
    *,
    provider: Annotated[
        str | None, typer.Option("--provider", metavar="NAME", help="Whose catalog is read.")
    ] = None,
    product: Annotated[
        str, typer.Option("--product", metavar="ID", help="The product that groups the plans.")
    ] = "imported",
) -> None:
    """Draft a file of what a billing provider's account sells already. Nothing is changed, here or there.

    The report tells what the file does not say. Edit the file, then `plan` and `apply` it.
    """
    from infra.cli.catalog_file import pulled  # noqa: PLC0415

    if file is not None and file.exists():
        raise CliError(f"{file} exists: name a new file.", code="file_exists")
    body = {"product_id": product} | ({} if provider is None else {"provider": provider})
    found = session.api.post(path("catalog", "import"), body)
    session.output.data(found)
    text = pulled(None, found["catalog"], str(file))
    if file is None:
        session.output.line(text.rstrip("\n"))
        for one in found["report"] if not session.output.as_json else ():
            session.output.note(" ".join(str(one[name]) for name in _COLUMNS))
        return
    try:
        file.write_bytes(text.encode())
    except OSError as error:
        raise CliError(f"{file} can't be written: {error}.", code="bad_file") from error
    rows = [tuple(one[name] for name in _COLUMNS) for one in found["report"]]
    session.output.table(_COLUMNS, rows, empty="Everything has its counterpart.")
    counts = found["counts"]
    session.output.line(
        f"{file} has {counts['plans']} plans, {counts['addons']} add-ons, {counts['prices']} prices "
        f"and {counts['coupons']} coupons; {counts['skipped']} objects were left out."
    )
