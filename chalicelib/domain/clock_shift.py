"""The environment's own time, where it has a test clock: how far it is ahead of the world's."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockShift:
    """An environment has one at most. It only grows: what happened can't be to come again."""

    seconds: int = 0
    revision: int = 1

    @property
    def identity(self) -> tuple[str, ...]:
        """There is one."""
        return ("clock",)
