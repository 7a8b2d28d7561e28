"""The operator's image, as far as it can be held without a container: the first stage of the Dockerfile is played."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BARE = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
"""Without the checkout's own code."""


def test_the_image_gets_the_versions_that_are_tested():
    """Each line of image.lock, hashes included, stands in requirements.lock."""
    tested = set((ROOT / "requirements.lock").read_text().splitlines())
    image = (ROOT / "image.lock").read_text().splitlines()
    assert [line for line in image if line not in tested] == []
    named = {line.partition("==")[0] for line in image if "==" in line}
    assert "kopf" in named
    assert not {"pytest", "fastapi", "hatchling"} & named, "what only tests, the sandbox or a build needs stays out"


@pytest.mark.slow
def test_the_image_holds_an_operator_that_starts(tmp_path: Path):
    """COPY and RUN of the first stage, in folders of the test's own: a keywright of wheels alone, with the CRDs it ships."""
    source = tmp_path / "src"
    source.mkdir()
    stage = (ROOT / "Dockerfile").read_text().replace("\\\n", "").split("\nFROM ")[1]
    copied = [line.split()[1:] for line in stage.splitlines() if line.startswith("COPY ")]
    for *names, to in copied:
        for name in names:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, source / to, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, source / to)
    commands = [line.removeprefix("RUN ") for line in stage.splitlines() if line.startswith("RUN ")]
    assert len(commands) == 2
    # The tools are those that run this test: installing them once more would hold nothing.
    tools = f"{sys.prefix}/bin/"
    build = commands[0].partition("requirements.lock")[2].partition("&&")[2]
    for command in (build, commands[1]):
        local = re.sub(r"(?<= )/(keywright|wheels)\b", rf"{tmp_path}/\1", command.replace("/tools/bin/", tools))
        done = subprocess.run(
            ["sh", "-ec", local.replace("--no-cache-dir ", "")], cwd=source, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    program = [str(tmp_path / "keywright/bin/keywright")]
    said = subprocess.run(
        [*program, "run", "--help"], capture_output=True, text=True, check=False, cwd=tmp_path, env=BARE
    )
    assert said.returncode == 0
    assert "--leader-elect" in said.stdout
    python = [
        str(tmp_path / "keywright/bin/python"),
        "-c",
        "from keywright.demo.shipped import shipped; print(*shipped('crds').iterdir())",
    ]
    shipped = subprocess.run(python, capture_output=True, text=True, check=True, cwd=tmp_path, env=BARE).stdout
    assert "apikeys.yaml" in shipped
