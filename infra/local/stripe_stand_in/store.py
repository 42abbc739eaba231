"""All state, in memory and (with a path) in one SQLite file; changes are kept or lost together."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

Obj = dict[str, Any]


class Store:
    """Objects by kind and id in order of creation, behind one pending change set."""

    def __init__(self, path: Path | None = None) -> None:
        self._committed: dict[str, dict[str, Obj]] = {}
        self._pending: dict[str, dict[str, Obj | None]] = {}
        self._file = self._open(path) if path is not None else None

    def _open(self, path: Path) -> sqlite3.Connection:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Callers hold the stand-in's lock, so threads never use the connection at once.
        file = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        # WAL without a sync per commit survives the process being killed, not a power cut.
        file.execute("PRAGMA journal_mode=WAL")
        file.execute("PRAGMA synchronous=NORMAL")
        file.execute(
            "CREATE TABLE IF NOT EXISTS object (seq INTEGER PRIMARY KEY AUTOINCREMENT,"
            " kind TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, UNIQUE (kind, id))"
        )
        for kind, key, body in file.execute("SELECT kind, id, body FROM object ORDER BY seq"):
            self._committed.setdefault(kind, {})[key] = json.loads(body)
        return file

    def get(self, kind: str, key: str) -> Obj | None:
        """The object, to be read only; None when there is none."""
        pending = self._pending.get(kind)
        if pending is not None and key in pending:
            return pending[key]
        return self._committed.get(kind, {}).get(key)

    def put(self, kind: str, key: str, obj: Obj) -> None:
        """The object is part of the pending change set."""
        self._pending.setdefault(kind, {})[key] = obj

    def delete(self, kind: str, key: str) -> None:
        """The object is gone once the change set is committed."""
        self._pending.setdefault(kind, {})[key] = None

    def scan(self, kind: str) -> list[Obj]:
        """All objects of a kind, oldest first, to be read only."""
        committed = self._committed.get(kind, {})
        pending = self._pending.get(kind)
        if not pending:
            return list(committed.values())
        merged: dict[str, Obj | None] = {**committed, **pending}
        return [obj for obj in merged.values() if obj is not None]

    def touched(self) -> set[str]:
        """The kinds in the pending change set."""
        return {kind for kind, changes in self._pending.items() if changes}

    def commit(self) -> None:
        """The pending change set is kept, on disk first."""
        if self._file is not None and self._pending:
            self._write(self._file)
        for kind, changes in self._pending.items():
            objects = self._committed.setdefault(kind, {})
            for key, obj in changes.items():
                if obj is None:
                    objects.pop(key, None)
                else:
                    objects[key] = obj
        self._pending = {}

    def _write(self, file: sqlite3.Connection) -> None:
        file.execute("BEGIN IMMEDIATE")
        try:
            for kind, changes in self._pending.items():
                for key, obj in changes.items():
                    if obj is None:
                        file.execute("DELETE FROM object WHERE kind=? AND id=?", (kind, key))
                    else:
                        file.execute(
                            "INSERT INTO object (kind, id, body) VALUES (?, ?, ?)"
                            " ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body",
                            (kind, key, json.dumps(obj, separators=(",", ":"))),
                        )
            file.execute("COMMIT")
        except BaseException:
            file.execute("ROLLBACK")
            raise

    def rollback(self) -> None:
        """The pending change set is forgotten."""
        self._pending = {}

    def savepoint(self) -> dict[str, dict[str, Obj | None]]:
        """A mark to return to; objects are replaced, never changed, so a shallow copy holds."""
        return {kind: dict(changes) for kind, changes in self._pending.items()}

    def restore(self, mark: dict[str, dict[str, Obj | None]]) -> None:
        """The pending change set is as it was at the mark."""
        self._pending = mark

    def clear(self) -> None:
        """Nothing is stored."""
        self._pending = {}
        self._committed = {}
        if self._file is not None:
            self._file.execute("DELETE FROM object")

    def close(self) -> None:
        """The file is closed; the store can no longer be used."""
        if self._file is not None:
            self._file.close()


def copy_of(obj: Obj) -> Obj:
    """An independent copy; stored objects hold JSON values only."""
    copied: Obj = json.loads(json.dumps(obj))
    return copied
