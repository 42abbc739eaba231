"""A few verified API keys, remembered for a moment so that a check stays one request to the database.

The price: a revoked key works on in a warm process for up to `TTL_SECONDS`.
"""

from collections import OrderedDict
from datetime import datetime, timedelta
from threading import Lock
from typing import Final

from chalicelib.domain.api_keys import ApiKey

TTL_SECONDS: Final = 30
MAX_KEYS: Final = 256


class KeyCache:
    """Verified keys by the digest of the whole key; only keys that were found valid are ever put in."""

    def __init__(self) -> None:
        self._entries: OrderedDict[str, tuple[ApiKey, datetime]] = OrderedDict()
        self._lock = Lock()

    def get(self, digest: str, now: datetime) -> ApiKey | None:
        """The key of this digest if it was verified within the last `TTL_SECONDS`."""
        with self._lock:
            entry = self._entries.get(digest)
            if entry is None:
                return None
            key, until = entry
            if now >= until:
                del self._entries[digest]
                return None
            return key

    def put(self, digest: str, key: ApiKey, now: datetime) -> None:
        """The key is remembered; the oldest one makes room."""
        with self._lock:
            self._entries[digest] = (key, now + timedelta(seconds=TTL_SECONDS))
            self._entries.move_to_end(digest)
            while len(self._entries) > MAX_KEYS:
                self._entries.popitem(last=False)

    def forget(self, key_id: str) -> None:
        """This process no longer takes the key on trust; others do for up to `TTL_SECONDS`."""
        with self._lock:
            gone = [digest for digest, (key, _) in self._entries.items() if key.id == key_id]
            for digest in gone:
                del self._entries[digest]
