"""Where the package will run, and which wheels can run there."""

import sys
from dataclasses import dataclass
from enum import StrEnum
from platform import machine
from typing import Final

from infra.packaging.errors import PackagingError

# Amazon Linux 2 below 3.12, Amazon Linux 2023 from there on: the same bounds as Chalice's own.
_OLDEST_GLIBC: Final = 17
_GLIBC_OF_AL2: Final = 26
_GLIBC_OF_AL2023: Final = 34
_FIRST_PYTHON_ON_AL2023: Final = (3, 12)


class Architecture(StrEnum):
    """The processor, as Lambda calls it."""

    ARM64 = "arm64"
    X86_64 = "x86_64"


def running_python() -> str:
    """The version of this interpreter, as in `3.12`."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def this_machine() -> Architecture:
    """The processor that this runs on."""
    return Architecture.ARM64 if machine() in ("aarch64", "arm64") else Architecture.X86_64


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A Lambda runtime."""

    architecture: Architecture
    python_version: str

    def __post_init__(self) -> None:
        if self.python_version != running_python():
            raise PackagingError(
                f"The package is compiled by Python {running_python()}, and Chalice deploys for the version that"
                f" runs it: for Python {self.python_version}, make the environment with that one"
                f" (make setup PYTHON=python{self.python_version})."
            )

    @property
    def runtime(self) -> str:
        """As Lambda and Chalice call it."""
        return f"python{self.python_version}"

    def platform_tags(self) -> list[str]:
        """What pip may take; it wants every older glibc named, too."""
        processor = "aarch64" if self.architecture is Architecture.ARM64 else "x86_64"
        major, minor = self.python_version.split(".")
        new = (int(major), int(minor)) >= _FIRST_PYTHON_ON_AL2023
        newest = _GLIBC_OF_AL2023 if new else _GLIBC_OF_AL2
        tags = [
            f"manylinux_2_{glibc}_{processor}" for glibc in range(newest, _OLDEST_GLIBC - 1, -1)
        ]
        return [*tags, f"manylinux2014_{processor}"]
