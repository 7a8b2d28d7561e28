"""The operator's image, as far as it can be held without a container: the first stage of the Dockerfile is played."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
BARE = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"PIP_NO_INDEX": "1"}
"""Without the checkout's own code, and without a place to fetch from."""
DEADLINE = 300
"""Seconds for one command, on the slowest machine."""


def test_the_image_gets_the_versions_that_are_tested():
    """Each line of image.lock, hashes included, stands in requirements.lock."""
    tested = set((ROOT / "requirements.lock").read_text().splitlines())
    image = (ROOT / "image.lock").read_text().splitlines()
    assert [line for line in image if line not in tested] == []
    named = {line.partition("==")[0] for line in image if "==" in line}
    assert "kopf" in named
    assert not {"pytest", "fastapi", "hatchling"} & named, "what only tests, the sandbox or a build needs stays out"


def what_it_says(*command: str | Path, folder: Path) -> str:
    """Run it there; a failure shows why."""
    done = subprocess.run(command, cwd=folder, env=BARE, capture_output=True, text=True, check=False, timeout=DEADLINE)
    assert done.returncode == 0, done.stderr
    return done.stdout


def lay_down(lock: Path, python: Path) -> None:
    """What a lock file names for this Python, from the environment that runs this test: tests fetch nothing."""
    [there] = python.parent.parent.glob("lib/python*/site-packages")
    for line in lock.read_text().splitlines():
        if "==" not in line:
            continue
        wanted = Requirement(line.removesuffix("\\"))
        if wanted.marker is not None and not wanted.marker.evaluate():
            continue
        found = distribution(wanted.name)
        assert wanted.specifier.contains(found.version)
        for file in found.files or ():
            if ".." not in file.parts and "__pycache__" not in file.parts:
                (there / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(str(file.locate()), there / file)


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
    commands = [line.removeprefix("RUN ").split(" && ") for line in stage.splitlines() if line.startswith("RUN ")]
    [[_, fetch_tools, build], [make_room, fetch, install]] = [[" ".join(c.split()) for c in run] for run in commands]
    for command, lock in ((fetch_tools, "requirements.lock"), (fetch, "image.lock")):
        assert command.endswith(f"/bin/pip install --no-cache-dir --require-hashes -r {lock}")
    for command in (build, make_room, install):
        # The tools are those that run this test: installing them once more would hold nothing.
        tools = f"{sys.prefix}/bin/"
        local = re.sub(r"(?<= )/(keywright|wheels)\b", rf"{tmp_path}/\1", f" {command}".replace("/tools/bin/", tools))
        what_it_says("sh", "-ec", local, folder=source)
        if command == make_room:
            lay_down(source / "image.lock", tmp_path / "keywright/bin/python")
    assert "--leader-elect" in what_it_says(tmp_path / "keywright/bin/keywright", "run", "--help", folder=tmp_path)
    program = "import keywright.wiring; from keywright.demo.shipped import shipped; print(*shipped('crds').iterdir())"
    assert "apikeys.yaml" in what_it_says(tmp_path / "keywright/bin/python", "-c", program, folder=tmp_path)
