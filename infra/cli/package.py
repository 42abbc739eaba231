"""`paygrade package`: the Lambda package, built from the lock."""

from pathlib import Path
from typing import Annotated, Final

import typer

from infra.cli.errors import CliError
from infra.cli.session import Session, command
from infra.packaging.errors import PackagingError
from infra.packaging.target import Architecture, running_python

ROOT: Final = Path(__file__).parents[2]
SHOWN_PARTS: Final = 8


@command
def package(
    session: Session,
    *,
    architecture: Annotated[
        Architecture, typer.Option("--architecture", help="The processor of the functions.")
    ] = Architecture.ARM64,
    python_version: Annotated[
        str | None,
        typer.Option("--python", metavar="X.Y", help="The one that runs this; no other will do."),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where the built project goes.")
    ] = Path("build") / "package",
) -> None:
    """Build what is deployed: a project for `chalice deploy --project-dir DIR`, dependencies and all.

    The packages are those of requirements.txt for this version of Python and the named processor.
    """
    # Imported late: it brings Chalice's deployer, which no other command needs.
    from infra.packaging.build import build  # noqa: PLC0415

    try:
        made = build(
            ROOT,
            out.resolve(),
            architecture=architecture,
            python_version=python_version or running_python(),
        )
    except PackagingError as error:
        raise CliError(str(error), code="packaging_failed") from error
    session.output.data(
        {
            "project": str(made.project),
            "zip": str(made.zip),
            "architecture": made.target.architecture,
            "runtime": made.target.runtime,
            "services": made.services,
            "zip_bytes": made.zip_bytes,
            "unpacked_bytes": made.unpacked_bytes,
            "files": made.files,
            "parts": made.parts,
        }
    )
    session.output.line(f"{made.project} for {made.target.runtime} on {made.target.architecture}:")
    session.output.line(
        f"  {_megabytes(made.zip_bytes)} zipped, {_megabytes(made.unpacked_bytes)} unpacked,"
        f" {made.files} files, AWS services {', '.join(made.services)}"
    )
    session.output.table(
        ("part", "zipped"),
        [(name, _megabytes(size)) for name, size in [*made.parts.items()][:SHOWN_PARTS]],
        empty="",
    )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
