"""What a command may fail with: always something to say to its user, never a traceback."""

from collections.abc import Mapping
from typing import Any, Final

FAILURE: Final = 1


class CliError(Exception):
    """The command can't go on. It reads like the API's own problems, so that `--json` prints one shape."""

    def __init__(self, detail: str, *, code: str, title: str = "Command failed") -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code
        self.title = title

    def problem(self) -> dict[str, Any]:
        """The error as problem JSON (RFC 9457)."""
        return {
            "type": "about:blank",
            "title": self.title,
            "detail": self.detail,
            "code": self.code,
        }

    def lines(self) -> list[str]:
        """The error for people."""
        return [self.detail]


class ApiError(CliError):
    """The API refused; `status` is HTTP's."""

    def __init__(self, problem: Mapping[str, Any]) -> None:
        self._problem = dict(problem)
        title = str(problem.get("title", "Request failed"))
        super().__init__(
            str(problem.get("detail") or title),
            code=str(problem.get("code", "unknown")),
            title=title,
        )
        self.status = int(problem.get("status", 0))

    def problem(self) -> dict[str, Any]:
        """The problem as the API gave it."""
        return self._problem

    def lines(self) -> list[str]:
        """What is wrong, each fault of the input, and the request to ask about."""
        faults = [
            f"  {fault.get('param')}: {fault.get('detail')}"
            for fault in self._problem.get("errors") or ()
        ]
        request_id = self._problem.get("request_id")
        named = f" (request {request_id})" if request_id else ""
        return [f"{self.detail} [{self.status} {self.code}]{named}", *faults]
