"""Where crds/, manifests/ and examples/ are: inside an installed wheel, or at the repository's root of an editable install."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import keywright
from keywright.errors import Terminal

__all__ = ["shipped"]


def shipped(folder: Literal["crds", "manifests", "examples"]) -> Path:
    """The folder of plain YAML with this name."""
    package = Path(keywright.__file__).parent
    for candidate in (package / "data" / folder, package.parent.parent / folder):
        if candidate.is_dir():
            return candidate
    raise Terminal(
        f"{folder}/ is missing from this installation: install keywright from its wheel or a checkout.",
        reason="NotShipped",
    )
