"""Where the provider's documents are kept, and how one is changed by one writer at a time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Generic, TypeVar

from pydantic import TypeAdapter

from chalicelib.domain.errors import (
    InvalidError,
    ProviderRefusedError,
    ProviderUnavailableError,
    StoreConflictError,
    StoreUnavailableError,
)
from chalicelib.domain.provider_records import ProviderRecord
from chalicelib.ports import Absent, Anyhow, AtRevision, Put, Store

T = TypeVar("T")
PROVIDER: Final = "manual"
_TRIES: Final = 6


class Shelf(Generic[T]):
    """All documents of one kind."""

    def __init__(self, store: Store, name: str, kind: type[T]) -> None:
        self._store = store
        self._name = name
        self._codec: TypeAdapter[T] = TypeAdapter(kind)

    def get(self, key: str) -> T | None:
        """The document, or None."""
        with _translated():
            record = self._record(key)
            return None if record is None else self._codec.validate_json(record.document)

    def put(self, key: str, document: T) -> Put:
        """What stores a document that nobody ever changes, for another change's commit."""
        return Put(self._new(key, document, revision=1), Anyhow())

    def change(self, key: str, change: Callable[[T | None], T], *also: Put) -> T:
        """The document is what `change` made of the one before, and `also` is in the same commit.

        `change` is called again when another writer was first: it sees what that one wrote.
        """
        with _translated():
            for _ in range(_TRIES):
                before = self._record(key)
                held = None if before is None else self._codec.validate_json(before.document)
                after = change(held)
                if before is not None and after == held:
                    return after
                try:
                    self._store.commit(self._write(key, before, after), *also)
                except StoreConflictError:
                    continue
                return after
        raise ProviderUnavailableError(f"The {self._name} {key} keeps changing; try again.")

    def _write(self, key: str, before: ProviderRecord | None, after: T) -> Put:
        if before is None:
            return Put(self._new(key, after, revision=1), Absent())
        changed = self._new(key, after, revision=before.revision + 1)
        return Put(changed, AtRevision(number=before.revision))

    def _record(self, key: str) -> ProviderRecord | None:
        return self._store.get(ProviderRecord, PROVIDER, self._name, key)

    def _new(self, key: str, document: T, *, revision: int) -> ProviderRecord:
        text = self._codec.dump_json(document).decode()
        return ProviderRecord(
            provider=PROVIDER, shelf=self._name, key=key, document=text, revision=revision
        )


@contextmanager
def _translated() -> Iterator[None]:
    """To the services this is a provider like any other: they do not know that it shares their database."""
    try:
        yield
    except StoreUnavailableError as error:
        raise ProviderUnavailableError(error.detail) from error
    except InvalidError as error:
        raise ProviderRefusedError(error.detail, provider_code=error.violations[0].code) from error
