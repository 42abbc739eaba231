"""Which wheels fit which Lambda runtime."""

import pytest

from infra.packaging import target
from infra.packaging.errors import PackagingError
from infra.packaging.target import Architecture, Target, running_python


def tags_on(monkeypatch: pytest.MonkeyPatch, version: str, architecture: Architecture) -> list[str]:
    monkeypatch.setattr(target, "running_python", lambda: version)
    return Target(architecture=architecture, python_version=version).platform_tags()


def test_python_of_amazon_linux_2_takes_no_newer_glibc(monkeypatch: pytest.MonkeyPatch) -> None:
    tags = tags_on(monkeypatch, "3.11", Architecture.X86_64)
    assert "manylinux_2_26_x86_64" in tags
    assert "manylinux_2_28_x86_64" not in tags


def test_python_of_amazon_linux_2023_takes_newer_wheels(monkeypatch: pytest.MonkeyPatch) -> None:
    tags = tags_on(monkeypatch, "3.13", Architecture.ARM64)
    assert {"manylinux_2_34_aarch64", "manylinux2014_aarch64"} <= set(tags)


def test_other_python_than_the_running_one_is_refused() -> None:
    with pytest.raises(PackagingError, match=running_python()):
        Target(architecture=Architecture.ARM64, python_version="3.1")
