"""`paygrade catalog`: the price list as a file beside the code."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from infra.cli.catalog_import import import_catalog
from infra.cli.catalog_lines import lines_of, total_of
from infra.cli.errors import CliError
from infra.cli.paths import path
from infra.cli.session import Session, command

app = typer.Typer(
    no_args_is_help=True, help="The catalog as code: a YAML file, planned and applied."
)

app.command("import")(import_catalog)

CHANGES: Final = 2
CATALOG: Final = path("catalog")


class Who(StrEnum):
    """Who gets new versions, as the API has it."""

    NEW_CUSTOMERS = "new_customers"
    ALL_CUSTOMERS = "all_customers"


File = Annotated[Path, typer.Argument(metavar="FILE", help="The YAML file.")]
Prune = Annotated[bool, typer.Option("--prune", help="Archive what the file lacks.")]
Migrate = Annotated[Who, typer.Option("--migration", help="Who gets the new versions.")]


@app.command("pull")
@command
def pull(
    session: Session,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Without it: printed on stdout.")
    ] = None,
) -> None:
    """Write the catalog as it is sold into a file. Of an existing one, comments and order stay."""
    from infra.cli.catalog_file import pulled, read_text  # noqa: PLC0415

    found = session.api.get(CATALOG)
    session.output.data(found)
    if file is None:
        session.output.line(pulled(None, found["catalog"], "").rstrip("\n"))
        return
    old = read_text(file) if file.exists() else None
    text = pulled(old, found["catalog"], str(file))
    if text == old:
        session.output.line(f"{file} is what {found['environment']} sells.")
        return
    _write(file, text)
    session.output.line(f"{file} is now what {found['environment']} sells.")


@app.command("plan")
@command
def plan(
    session: Session,
    file: File,
    *,
    prune: Prune = False,
    migration: Migrate = Who.NEW_CUSTOMERS,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="PLAN", help="Keep the plan, to apply just it.")
    ] = None,
) -> int:
    """Show what applying the file would do. Nothing is changed.

    Exit code 0: nothing to do. 2: there are changes. 1: the file can't be applied.
    """
    body = _body(file, prune=prune, migration=migration)
    report = _compared(session, body)
    if out is not None:
        kept = {"plan": report, "request": {**body, "expected_hash": report["hash"]}}
        _write(out, json.dumps(kept, indent=2, ensure_ascii=False) + "\n")
    return CHANGES if report["changes"] else 0


@app.command("apply")
@command
def apply(
    session: Session,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="The YAML file; or name a --plan.")
    ] = None,
    *,
    plan_file: Annotated[
        Path | None, typer.Option("--plan", metavar="PLAN", help="What `plan --out` kept.")
    ] = None,
    prune: Prune = False,
    migration: Migrate = Who.NEW_CUSTOMERS,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Make the catalog what the file says. Refused if the catalog changed since the plan.

    Cut short, it is finished by applying the same file again.
    """
    if (file is None) == (plan_file is None):
        raise CliError("Name either a file or a --plan.", code="usage")
    if file is not None:
        body = _body(file, prune=prune, migration=migration)
        report = _compared(session, body, quiet=True)
        body["expected_hash"] = report["hash"]
    else:
        assert plan_file is not None  # noqa: S101 -- one of the two is there
        report, body = _kept(plan_file)
        _require_environment(session, report["environment"])
        _show(session, report)
    if not report["changes"]:
        session.output.data(report)
        return
    question = f"Apply this to {report['environment']}?"
    if not yes and (session.output.as_json or not typer.confirm(question)):
        raise CliError("Nothing was applied: say --yes.", code="not_confirmed")
    done = session.api.post(path("catalog", "apply"), body)
    session.output.data(done)
    session.output.line(f"Applied {len(done['changes'])} changes to {done['environment']}.")


@app.command("drift")
@command
def drift(session: Session, file: File, *, prune: Prune = False) -> int:
    """Compare the file with the catalog, and look at what the latest reconciliation left as it was.

    Exit code 0: all agree. 2: something differs. 1: it failed.
    """
    body = _body(file, prune=prune, migration=Who.NEW_CUSTOMERS)
    report = _compared(session, body, quiet=True)
    run = next(session.api.items(path("reconciliations"), 1), None)
    left = [one for one in run["drifts"] if one["action"] == "reported"] if run else []
    session.output.data({"object": "catalog_drift", "catalog": report, "provider": run})
    if run is None:
        session.output.line("Billing providers were not compared yet: run `paygrade reconcile`.")
    else:
        session.output.line(f"Billing providers, by {run['id']} ({run['status']}):")
        columns = ("drift", "entity", "ours", "theirs")
        rows = [tuple(one[name] for name in ("kind", *columns[1:])) for one in left]
        session.output.table(columns, rows, empty="No drift is left.")
    return CHANGES if report["changes"] or left else 0


@app.command("schema")
@command
def schema(session: Session) -> None:
    """Print the JSON Schema of the file, for editors and checks."""
    from chalicelib.api.catalog_models import json_schema  # noqa: PLC0415

    found = json_schema()
    session.output.data(found)
    session.output.line(json.dumps(found, indent=2))


def _body(file: Path, *, prune: bool, migration: Who) -> dict[str, Any]:
    from infra.cli.catalog_file import document_in, read_text  # noqa: PLC0415

    document = document_in(read_text(file), str(file))
    return {"catalog": document, "prune": prune, "migration": migration.value}


def _compared(session: Session, body: dict[str, Any], *, quiet: bool = False) -> dict[str, Any]:
    report = session.api.post(path("catalog", "diff"), body)
    if not quiet:
        session.output.data(report)
    _show(session, report)
    return report


def _show(session: Session, report: dict[str, Any]) -> None:
    for text, style in lines_of(report):
        session.output.line(text, style)
    session.output.line(total_of(report))


def _kept(file: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        return kept["plan"], kept["request"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CliError(f"{file} is not what `plan --out` keeps.", code="bad_file") from error


def _require_environment(session: Session, planned: str) -> None:
    found = session.api.get(CATALOG)["environment"]
    if found != planned:
        raise CliError(f"The plan is for {planned!r}, not for {found!r}.", code="other_environment")


def _write(file: Path, text: str) -> None:
    try:
        file.write_bytes(text.encode())
    except OSError as error:
        raise CliError(f"{file} can't be written: {error}.", code="bad_file") from error
