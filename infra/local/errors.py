"""What keeps the local stack from starting, said to its user."""


class LocalStackError(RuntimeError):
    """The stack cannot start. The message says why, and what to do about it."""
