"""Which binaries a control plane consists of, and how each is built from the Go module proxy.

Versions are read from the go.mod files beside this module, so that they are written down once. Which binary is used
in the end is decided in `binaries.py`; `build.py` runs the builds.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["CONTROL_PLANE", "VAULT", "Recipe"]

_MODULES = Path(__file__).parent / "modules"


@dataclass(frozen=True, slots=True)
class Recipe:
    """One binary.

    `seconds` and `megabytes` are what a cold build took on two cores and leaves on disk with Go's own caches; they feed
    the estimate and the check for free space, nothing else.
    """

    name: str
    workspace: str  # the folder below modules/
    package: str
    module: str  # the module whose required version is the binary's
    seconds: float
    megabytes: int
    tags: tuple[str, ...] = ()
    stamped: tuple[str, ...] = field(default=())  # variables the linker sets to the version

    @property
    def directory(self) -> Path:
        """Holds the go.mod and go.sum that the build runs in."""
        return _MODULES / self.workspace

    @property
    def version(self) -> str:
        """As go.mod requires it, such as v1.37.2."""
        found = re.search(rf"^(?:require)?\s*{re.escape(self.module)} (v\S+)", self._go_mod(), re.MULTILINE)
        assert found is not None, f"{self.directory}/go.mod requires {self.module}"
        return found[1]

    @property
    def go_version(self) -> str:
        """The oldest Go that builds it."""
        found = re.search(r"^go (\S+)$", self._go_mod(), re.MULTILINE)
        assert found is not None, f"{self.directory}/go.mod has a go line"
        return found[1]

    @property
    def flags(self) -> tuple[str, ...]:
        """For `go build`; -buildvcs=false, since the folder may lie in somebody's repository."""
        linker = " ".join(("-s", "-w", *(f"-X {name}={self.version}" for name in self.stamped)))
        tags = (f"-tags={','.join(self.tags)}",) if self.tags else ()
        return ("-buildvcs=false", "-trimpath", *tags, f"-ldflags={linker}")

    def digest(self, platform: str) -> str:
        """Twelve hex digits that change whenever the binary could."""
        said = hashlib.sha256()
        for part in (
            self._go_mod(),
            (self.directory / "go.sum").read_text("utf-8"),
            platform,
            self.package,
            *self.flags,
        ):
            said.update(part.encode())
            said.update(b"\0")
        return said.hexdigest()[:12]

    def _go_mod(self) -> str:
        return (self.directory / "go.mod").read_text("utf-8")


_KUBERNETES_VERSION_VARIABLES = (
    "k8s.io/component-base/version.gitVersion",
    "k8s.io/client-go/pkg/version.gitVersion",
)

CONTROL_PLANE = (
    Recipe(
        name="etcd",
        workspace="etcd",
        package="go.etcd.io/etcd/server/v3",
        module="go.etcd.io/etcd/server/v3",
        seconds=45,
        megabytes=600,
    ),
    Recipe(
        name="kube-apiserver",
        workspace="kubernetes",
        package="k8s.io/kubernetes/cmd/kube-apiserver",
        module="k8s.io/kubernetes",
        stamped=_KUBERNETES_VERSION_VARIABLES,
        seconds=280,
        megabytes=3000,
    ),
    Recipe(
        name="kube-controller-manager",
        workspace="kubernetes",
        package="k8s.io/kubernetes/cmd/kube-controller-manager",
        module="k8s.io/kubernetes",
        stamped=_KUBERNETES_VERSION_VARIABLES,
        seconds=85,
        megabytes=1000,
    ),
)

VAULT = (
    Recipe(
        name="vault",
        workspace="vault",
        package="github.com/hashicorp/vault",
        module="github.com/hashicorp/vault",
        tags=("minimal",),
        seconds=300,
        megabytes=3000,
    ),
    Recipe(
        name="vault-plugin-auth-kubernetes",
        workspace="vault-plugin-auth-kubernetes",
        package="github.com/hashicorp/vault-plugin-auth-kubernetes/cmd/vault-plugin-auth-kubernetes",
        module="github.com/hashicorp/vault-plugin-auth-kubernetes",
        seconds=20,
        megabytes=300,
    ),
)
