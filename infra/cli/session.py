"""What the commands that talk to an API share: the same options, one way to fail."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, Final, ParamSpec

import typer

from infra.cli.connection import Wanted, resolve
from infra.cli.errors import FAILURE, CliError
from infra.cli.output import Output

if TYPE_CHECKING:
    from infra.cli.client import ApiClient

P = ParamSpec("P")
PANEL: Final = "Connection and output"

# Beside the root's own, every command takes them, so that their place on the line does not matter. Only the
# root reads the environment: it must not go before an option that stands ahead of the command's name.
ApiUrl = Annotated[
    str | None,
    typer.Option(
        "--api-url",
        metavar="URL",
        rich_help_panel=PANEL,
        help="The API; also PAYGRADE_API_URL. Without it: the local stack that is running.",
    ),
]
ApiKey = Annotated[
    str | None,
    typer.Option(
        "--api-key",
        metavar="KEY",
        rich_help_panel=PANEL,
        help="A secret key of it; also PAYGRADE_API_KEY. Without it: the local stack's.",
    ),
]
StateDir = Annotated[
    Path | None,
    typer.Option(
        "--state-dir",
        metavar="DIR",
        rich_help_panel=PANEL,
        help="Where the local stack keeps its state; .paygrade unless named.",
    ),
]
AsJson = Annotated[
    bool,
    typer.Option(
        "--json",
        rich_help_panel=PANEL,
        help="Print JSON alone on stdout; an error is a problem object.",
    ),
]


def new_client(api_url: str, api_key: str) -> "ApiClient":
    """A client of that API; httpx is imported only now."""
    from infra.cli.client import ApiClient  # noqa: PLC0415

    return ApiClient(api_url, api_key)


class Session:
    """One run of a command: what its user wants, whom it asks, where it answers."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.output = Output(as_json=wanted.as_json)

    @functools.cached_property
    def api(self) -> "ApiClient":
        """The API, once it is needed.

        Raises:
            CliError: The user names none and no local stack runs.
        """
        return new_client(*resolve(self.wanted))


Command = Callable[Concatenate[Session, P], int | None]


def command(function: Command[P]) -> Callable[..., None]:
    """The function as typer takes it: with the shared options instead of its first parameter.

    It returns its exit code (None: 0). A `CliError` is told to the user and ends it with 1.
    """

    @functools.wraps(function)
    def run(
        ctx: typer.Context,
        *args: Any,
        api_url: str | None,
        api_key: str | None,
        state_dir: Path | None,
        as_json: bool,
        **options: Any,
    ) -> None:
        general = ctx.obj if isinstance(ctx.obj, Wanted) else Wanted()
        session = Session(Wanted(api_url, api_key, state_dir, as_json).over(general))
        try:
            code = function(session, *args, **options)
        except CliError as error:
            session.output.failure(error)
            code = FAILURE
        if code:
            raise typer.Exit(code)

    _declare(run, function)
    return run


def _declare(run: Callable[..., None], function: Callable[..., Any]) -> None:
    """Typer reads a command's options from its signature."""
    own = list(inspect.signature(function).parameters.values())[1:]
    shared: list[tuple[str, Any, Any]] = [
        ("api_url", ApiUrl, None),
        ("api_key", ApiKey, None),
        ("state_dir", StateDir, None),
        ("as_json", AsJson, False),
    ]
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context),
        *(one.replace(kind=keyword) for one in own),
        *(
            inspect.Parameter(name, keyword, default=default, annotation=annotation)
            for name, annotation, default in shared
        ),
    ]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    del run.__wrapped__  # type: ignore[attr-defined]
