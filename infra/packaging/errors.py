"""What keeps a package from being built, said to whoever builds it."""


class PackagingError(RuntimeError):
    """There is no package. The message says why, and what to do about it."""
