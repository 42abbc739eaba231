"""What a billing provider that has no server of its own keeps with us."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRecord:
    """One document of the provider's. Nobody but the provider reads or writes it, as if it were kept elsewhere."""

    provider: str
    shelf: str
    key: str
    document: str
    revision: int = 1

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells one record from another."""
        return (self.provider, self.shelf, self.key)
