"""Where a control plane's binaries come from: KUBEBUILDER_ASSETS, PATH, the cache. Nothing is built or started here.

`setup-envtest` has no kube-controller-manager: each binary is looked for by itself, and says where it was found.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from keywright.errors import Terminal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keywright.devcluster.recipes import Recipe

__all__ = ["GO_PLATFORM", "Binaries", "Binary", "Source", "cache_directory", "cached_path", "locate", "version_skew"]

_GO_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_VERSION_DEADLINE = 30  # seconds; a cold disk reads 120 MB first

GO_PLATFORM = (sys.platform, _GO_ARCHITECTURES.get(platform.machine().lower(), platform.machine().lower()))
"""(GOOS, GOARCH) of this machine."""


class Source(StrEnum):
    """Where a binary was found; in the order of looking."""

    ASSETS = "KUBEBUILDER_ASSETS"
    PATH = "PATH"
    CACHE = "the cache"


@dataclass(frozen=True, slots=True)
class Binary:
    """One program and where it was found."""

    name: str
    path: Path
    source: Source


@dataclass(frozen=True, slots=True)
class Binaries:
    """All that a control plane starts."""

    all: tuple[Binary, ...]

    def __getitem__(self, name: str) -> Binary:
        """By program name; KeyError where it was not asked for."""
        for binary in self.all:
            if binary.name == name:
                return binary
        raise KeyError(name)


def cache_directory(environ: Mapping[str, str]) -> Path:
    """Where built binaries stay; a relative XDG_CACHE_HOME is ignored, as its specification says."""
    chosen = Path(environ.get("XDG_CACHE_HOME", ""))
    base = chosen if chosen.is_absolute() else Path.home() / ".cache"
    return base / "keywright" / "controlplane"


def cached_path(recipe: Recipe, environ: Mapping[str, str]) -> Path:
    """Where the recipe's binary stands once built; the folder is named by version and digest."""
    key = f"{recipe.name}-{recipe.version}-{recipe.digest('/'.join(GO_PLATFORM))}"
    return cache_directory(environ) / key / recipe.name


def locate(recipe: Recipe, environ: Mapping[str, str]) -> Binary | None:
    """The first of KUBEBUILDER_ASSETS, PATH, the cache that has it; None: it has to be built.

    Raises Terminal when KUBEBUILDER_ASSETS names no directory: silently building for eight minutes instead would
    hide a typing mistake.
    """
    assets = environ.get("KUBEBUILDER_ASSETS")
    if assets:
        if not Path(assets).is_dir():
            raise Terminal(
                f"KUBEBUILDER_ASSETS names {assets}, which is no directory: correct it or unset it.",
                reason="AssetsMissing",
            )
        if _is_program(path := Path(assets).absolute() / recipe.name):
            return Binary(recipe.name, path, Source.ASSETS)
    if found := shutil.which(recipe.name, path=environ.get("PATH", os.defpath)):
        return Binary(recipe.name, Path(found).absolute(), Source.PATH)
    if _is_program(path := cached_path(recipe, environ)):
        return Binary(recipe.name, path, Source.CACHE)
    return None


def version_skew(binaries: Binaries) -> str | None:
    """A warning where kube-apiserver and kube-controller-manager come from two places and do not fit together."""
    apiserver, manager = binaries["kube-apiserver"], binaries["kube-controller-manager"]
    if apiserver.source is manager.source:
        return None
    serves, manages = _kubernetes_minor(apiserver), _kubernetes_minor(manager)
    # Kubernetes supports a manager of the apiserver's own minor version or the one before.
    if serves is not None and manages is not None and serves - manages in {0, 1}:
        return None
    return (
        f"kube-apiserver from {apiserver.source} is {_spoken(serves)} and kube-controller-manager from "
        f"{manager.source} is {_spoken(manages)}: if namespaces do not go away, use two of the same version."
    )


def _spoken(minor: int | None) -> str:
    return "of an unknown version" if minor is None else f"v1.{minor}"


def _kubernetes_minor(binary: Binary) -> int | None:
    try:
        said = subprocess.run(  # noqa: S603 - a program of the user's choosing
            [binary.path, "--version"], capture_output=True, text=True, timeout=_VERSION_DEADLINE, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"Kubernetes v1\.(\d+)", said.stdout)
    return None if found is None else int(found[1])


def _is_program(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
