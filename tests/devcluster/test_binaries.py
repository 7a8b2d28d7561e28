"""Where binaries are looked for, and how the cache is keyed."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from keywright.devcluster import recipes
from keywright.devcluster.binaries import Binaries, Binary, Source, cache_directory, cached_path, locate, version_skew
from keywright.devcluster.recipes import CONTROL_PLANE, VAULT
from keywright.errors import Terminal

ETCD = CONTROL_PLANE[0]


def a_program(path: Path, says: str = "") -> Path:
    """An executable at `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


def test_looked_for_in_assets_then_path_then_cache(tmp_path: Path):
    """Each place is asked only when those before it have nothing."""
    environ = {"KUBEBUILDER_ASSETS": f"{tmp_path}/assets", "PATH": f"{tmp_path}/bin", "XDG_CACHE_HOME": f"{tmp_path}/c"}
    places = {
        Source.ASSETS: a_program(tmp_path / "assets" / "etcd"),
        Source.PATH: a_program(tmp_path / "bin" / "etcd"),
        Source.CACHE: a_program(cached_path(ETCD, environ)),
    }
    for source, path in places.items():
        assert locate(ETCD, environ) == Binary("etcd", path, source)
        path.unlink()
    assert locate(ETCD, environ) is None


def test_assets_that_are_no_directory_are_an_error(tmp_path: Path):
    """A typing mistake is said, instead of a long build."""
    with pytest.raises(Terminal, match=r"KUBEBUILDER_ASSETS names .*/nowhere, which is no directory") as raised:
        locate(ETCD, {"KUBEBUILDER_ASSETS": f"{tmp_path}/nowhere", "PATH": ""})
    assert raised.value.reason == "AssetsMissing"


def test_a_file_that_cannot_be_run_is_not_found(tmp_path: Path):
    """A download that lacks its executable bit does not count."""
    (tmp_path / "etcd").write_text("")
    assert locate(ETCD, {"KUBEBUILDER_ASSETS": str(tmp_path), "PATH": "", "XDG_CACHE_HOME": str(tmp_path)}) is None


def test_a_relative_cache_home_is_ignored():
    """As the XDG specification asks."""
    assert cache_directory({"XDG_CACHE_HOME": "relative"}) == Path.home() / ".cache" / "keywright" / "controlplane"


@pytest.mark.parametrize("changed", ["go.mod", "go.sum"])
def test_the_cache_key_follows_the_module_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str):
    """Another dependency is another binary."""
    copy = tmp_path / "modules"
    shutil.copytree(ETCD.directory.parent, copy)
    monkeypatch.setattr(recipes, "_MODULES", copy)
    before = ETCD.digest("linux/amd64")
    with (copy / ETCD.workspace / changed).open("a") as file:
        file.write("// changed\n")
    assert ETCD.digest("linux/amd64") != before


def test_the_cache_key_follows_platform_and_flags():
    """A binary for another machine, or built otherwise, is another binary; the same one is the same."""
    digests = {
        ETCD.digest("linux/amd64"),
        ETCD.digest("linux/arm64"),
        replace(ETCD, tags=("minimal",)).digest("linux/amd64"),
    }
    assert len(digests) == 3
    assert ETCD.digest("linux/amd64") in digests


@pytest.mark.parametrize("recipe", [*CONTROL_PLANE, *VAULT], ids=lambda recipe: recipe.name)
def test_versions_come_from_the_go_mod_files(recipe: recipes.Recipe):
    """Each recipe finds its version and its Go in the files that the package carries."""
    assert recipe.version.startswith("v")
    assert recipe.go_version.startswith("1.")
    assert (recipe.directory / "go.sum").is_file()


@pytest.mark.parametrize(
    ("apiserver", "manager", "warned"),
    [
        ("v1.37.2", "v1.37.0", False),
        ("v1.37.2", "v1.36.9", False),
        ("v1.30.0", "v1.37.2", True),
        ("?", "v1.37.2", True),
    ],
)
def test_versions_that_do_not_fit_are_said(tmp_path: Path, apiserver: str, manager: str, *, warned: bool):
    """A controller manager from elsewhere is compared with the apiserver it will talk to."""
    served = a_program(tmp_path / "a" / "kube-apiserver", f"Kubernetes {apiserver}")
    managed = a_program(tmp_path / "b" / "kube-controller-manager", f"Kubernetes {manager}")
    binaries = Binaries(
        (
            Binary("kube-apiserver", served, Source.ASSETS),
            Binary("kube-controller-manager", managed, Source.CACHE),
        )
    )
    assert (version_skew(binaries) is not None) is warned
