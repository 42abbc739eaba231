"""`paygrade keys`: API keys made, listed, revoked; and the first one of a fresh deployment."""

from enum import StrEnum
from typing import Annotated, Final

import typer

from infra.cli.output import listed
from infra.cli.paths import path
from infra.cli.session import Session, command

app = typer.Typer(no_args_is_help=True, help="API keys: who may call the API, and for what.")

SHOWN_ONCE: Final = "Keep it now: it is stored nowhere and never shown again."


class Kind(StrEnum):
    """As the API has them; its own type would cost the import of the domain at each start."""

    SECRET = "secret"  # noqa: S105 - a word, no secret
    PUBLISHABLE = "publishable"


Name = Annotated[str, typer.Option("--name", help="What it is for, for people.")]
KindOption = Annotated[
    Kind,
    typer.Option(
        "--kind", help="A secret key stays on servers; a publishable one may stand in a page."
    ),
]


@app.command("create")
@command
def create(
    session: Session,
    *,
    name: Name,
    kind: KindOption = Kind.SECRET,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            "--scope",
            help="What it may do, e.g. catalog:read; give it several times. Without it: all that"
            " its kind may.",
        ),
    ] = None,
) -> None:
    """Create a key. It is printed this once.

    A script gets the key alone with: paygrade keys create --name ci --json | jq -r .secret
    """
    body = {"name": name, "kind": kind.value} | ({"scopes": scope} if scope else {})
    made = session.api.post(path("api_keys"), body)
    session.output.data(made)
    session.output.line(made["secret"])
    if not session.output.as_json:
        session.output.note(f"{made['id']} ({', '.join(made['scopes'])}). {SHOWN_ONCE}")


@app.command("list")
@command
def list_keys(
    session: Session,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many at most.")] = 100,
) -> None:
    """List the keys, without their secrets, revoked ones included."""
    keys = list(session.api.items(path("api_keys"), limit))
    session.output.data(listed(keys))
    session.output.table(
        ("id", "name", "kind", "ends in", "created", "revoked", "scopes"),
        [
            (
                key["id"],
                key["name"],
                key["kind"],
                key["hint"],
                key["created_at"],
                key["revoked_at"],
                key["scopes"],
            )
            for key in keys
        ],
        empty="There are no keys.",
    )


@app.command("revoke")
@command
def revoke(
    session: Session, key_id: Annotated[str, typer.Argument(metavar="ID", help="key_...")]
) -> None:
    """Revoke a key: it opens nothing any more, within 30 seconds everywhere."""
    revoked = session.api.delete(path("api_keys", key_id))
    session.output.data(revoked)
    session.output.line(f"{revoked['id']} ({revoked['name']}) was revoked {revoked['revoked_at']}.")


@app.command("bootstrap")
@command
def bootstrap(
    session: Session,
    *,
    name: Name = "first key",
    another: Annotated[
        bool, typer.Option("--another", help="Make one even though the environment has keys.")
    ] = False,
) -> None:
    """Write the first key of a fresh deployment straight to its database, and print it this once.

    For whoever may write to the tables: it uses the AWS credentials and the PAYGRADE_* settings of
    the environment, as the deployed functions do, and no API key.
    """
    from infra.cli.first_key import bootstrap_key  # noqa: PLC0415

    key_id, secret = bootstrap_key(name, even_if_there_are_some=another)
    session.output.data({"object": "api_key", "id": key_id, "name": name, "secret": secret})
    session.output.line(secret)
    if not session.output.as_json:
        session.output.note(f"{key_id}. {SHOWN_ONCE}")
