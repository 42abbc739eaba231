"""Every kind of record that can be stored, and where.

The tables' files name the kinds (`module.Class` of the domain) and import none: making the classes of thirty kinds
takes half as long as making a client of boto3's, and an invocation has to do with a few of them.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, Final

from chalicelib.adapters.dynamodb import catalog, customers, operations
from chalicelib.adapters.dynamodb.layout import Layout

_DOMAIN: Final = "chalicelib.domain."
_NAMED: Final[Mapping[str, Layout]] = {
    **catalog.LAYOUTS,
    **customers.LAYOUTS,
    **operations.LAYOUTS,
}


class _Layouts(Mapping[type[Any], Layout]):
    """By kind. Whoever asks for one has its class; whoever wants all kinds imports them by it."""

    def __getitem__(self, kind: type[Any]) -> Layout:
        return _NAMED[f"{kind.__module__.removeprefix(_DOMAIN)}.{kind.__name__}"]

    def __iter__(self) -> Iterator[type[Any]]:
        for named in _NAMED:
            module, _, name = named.partition(".")
            yield getattr(import_module(_DOMAIN + module), name)

    def __len__(self) -> int:
        return len(_NAMED)


LAYOUTS: Final[Mapping[type[Any], Layout]] = _Layouts()
