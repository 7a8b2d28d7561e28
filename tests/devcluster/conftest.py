"""A Go toolchain that is a shell script, and waiting for conditions."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

_FAKE_GO = """#!/bin/sh
# Stands in for go: says its version, and "builds" a program that says its own name.
here={here}
case "$1" in
version) read -r version < "$here/version"; echo "go version $version linux/amd64" ;;
env) echo "$here/gocache"; echo "$here/gomodcache" ;;
build)
  while [ $# -gt 1 ]; do
    if [ "$1" = -o ]; then target=$2; fi
    shift
  done
  name=${{target##*/}}
  echo "$name" >> "$here/builds"
  /usr/bin/env > "$here/environment"
  echo "go: downloading example.org/$name v1.0.0" >&2
  printf '#!/bin/sh\\necho %s\\n' "$name" > "$target"
  /bin/chmod 755 "$target"
  if [ -f "$here/on-$name" ]; then . "$here/on-$name"; fi
  ;;
esac
"""


@dataclass(frozen=True)
class FakeGo:
    """The script's folder, and the environment in which it is the only Go."""

    here: Path
    environ: dict[str, str]

    def version(self, text: str) -> None:
        """What `go version` says."""
        (self.here / "version").write_text(f"{text}\n")

    def then(self, binary: str, script: str) -> None:
        """Shell lines that run after `binary` was written; `$here` is the script's folder."""
        (self.here / f"on-{binary}").write_text(f"{script}\n")

    @property
    def builds(self) -> list[str]:
        """Each build that was begun, in order."""
        path = self.here / "builds"
        return path.read_text().split() if path.exists() else []

    @property
    def cache(self) -> Path:
        """Where keywright puts what it builds."""
        return Path(self.environ["XDG_CACHE_HOME"]) / "keywright" / "controlplane"

    @property
    def work_folders(self) -> list[Path]:
        """Half-finished builds in the cache."""
        return list(self.cache.glob(".building-*"))


@pytest.fixture
def fake_go(tmp_path: Path) -> FakeGo:
    """A new enough Go whose builds succeed at once."""
    here = tmp_path / "go"
    here.mkdir()
    (here / "bin").mkdir()
    program = here / "bin" / "go"
    program.write_text(_FAKE_GO.format(here=here))
    program.chmod(0o755)
    go = FakeGo(here, {"PATH": str(here / "bin"), "XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)})
    go.version("go1.26.8")
    return go


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    """Wait until a condition holds, for two minutes at most."""

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 120
        while not condition():
            assert time.monotonic() < deadline, "it never came true"
            time.sleep(0.02)

    return wait
