"""Building missing binaries once, into the cache: one at a time on a machine, whole or not at all.

Each binary is its own step and stays when a later one fails or is interrupted; within a step Go's own cache makes the
next try shorter. Interrupts pass through after the compiler's processes are gone and the work folder is removed.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from keywright.devcluster.binaries import Binaries, Binary, cache_directory, cached_path, locate, version_skew
from keywright.devcluster.locks import exclusive
from keywright.devcluster.progress import Building, Forecast, Note, Report, silent
from keywright.devcluster.toolchain import Toolchain, disk_full, explain_failure, find_toolchain
from keywright.errors import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from keywright.devcluster.recipes import Recipe

__all__ = ["provide"]

_REPORT_EVERY = 0.5  # seconds
_INTERRUPT_GRACE = 5.0  # seconds for go to stop its compilers
_WORK_PREFIX = ".building-"
_FULL = {errno.ENOSPC, errno.EDQUOT}
_NOT_OURS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}
_MEGABYTE = 1 << 20


def provide(
    recipes: tuple[Recipe, ...], *, environ: Mapping[str, str] | None = None, progress: Report = silent
) -> Binaries:
    """Every binary of `recipes`: found, or built first. Raises Terminal with what to change when that fails."""
    surroundings = os.environ if environ is None else environ
    missing = tuple(recipe for recipe in recipes if locate(recipe, surroundings) is None)
    if missing:
        with _tidy_errors(cache_directory(surroundings)):
            _build_missing(missing, surroundings, progress)
    binaries = Binaries(tuple(_found(recipe, surroundings) for recipe in recipes))
    if {"kube-apiserver", "kube-controller-manager"} <= {binary.name for binary in binaries.all}:
        warning = version_skew(binaries)
        if warning is not None:
            progress(Note(warning))
    return binaries


def _found(recipe: Recipe, environ: Mapping[str, str]) -> Binary:
    binary = locate(recipe, environ)
    if binary is None:
        raise Terminal(
            f"{recipe.name} was built and is gone again: keep {cache_directory(environ)} from being cleaned meanwhile.",
            reason="CacheCleaned",
        )
    return binary


@contextmanager
def _tidy_errors(cache: Path) -> Iterator[None]:
    """What goes wrong with the cache itself, as sentences."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise disk_full(f"at {cache}") from error
        if error.errno in _NOT_OURS:
            raise Terminal(
                f"The cache at {cache} cannot be written: make it writable, or set XDG_CACHE_HOME ({error}).",
                reason="CacheNotWritable",
            ) from error
        raise


def _build_missing(missing: tuple[Recipe, ...], environ: Mapping[str, str], progress: Report) -> None:
    cache = cache_directory(environ)
    cache.mkdir(parents=True, exist_ok=True)

    def waiting(holder: str) -> None:
        who = f"Another build (process {holder})" if holder else "Another build"
        progress(Note(f"{who} is at work on this machine: waiting for it, to use what it makes."))

    with exclusive(cache / "lock", waiting=waiting):
        for abandoned in cache.glob(f"{_WORK_PREFIX}*"):  # of a build that was killed: we hold the lock, so it is over
            shutil.rmtree(abandoned)
        left = tuple(recipe for recipe in missing if locate(recipe, environ) is None)
        if left:
            needs = max((recipe.go_version for recipe in left), key=_by_number)
            toolchain = find_toolchain(environ, needs=needs)
            _check_space(left, toolchain, cache)
            _Build(left, toolchain, environ, progress).run()


def _by_number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _check_space(recipes: tuple[Recipe, ...], toolchain: Toolchain, cache: Path) -> None:
    """Said before eight minutes are spent; on the disk of each cache, since any of them may be elsewhere."""
    needed = sum(recipe.megabytes for recipe in recipes)
    for place in toolchain.cache_directories():
        existing = next(parent for parent in (place, *place.parents) if parent.exists())
        free = shutil.disk_usage(existing).free // _MEGABYTE
        if free < needed:
            raise Terminal(
                f"Building the control plane needs about {needed / 1000:.1f} GB, and {place} has "
                f"{free / 1000:.1f} GB free: free some space, or put GOCACHE and GOMODCACHE on another disk.",
                reason="DiskFull",
            )
    if shutil.disk_usage(cache).free < (needed // 4) * _MEGABYTE:
        raise disk_full(f"at {cache}")


@dataclass(slots=True)
class _Build:
    """The steps of one call; the lock is held."""

    recipes: tuple[Recipe, ...]
    toolchain: Toolchain
    environ: Mapping[str, str]
    progress: Report
    forecast: Forecast = field(init=False)

    def __post_init__(self) -> None:
        self.forecast = Forecast(self.recipes, cores=os.cpu_count() or 1)

    def run(self) -> None:
        for number, recipe in enumerate(self.recipes, start=1):
            self._build(number, recipe)

    def _build(self, number: int, recipe: Recipe) -> None:
        target = cached_path(recipe, self.environ)
        cache = cache_directory(self.environ)
        log = cache / "logs" / f"{recipe.name}.log"
        log.parent.mkdir(exist_ok=True)
        started = time.monotonic()
        self._tell(number, recipe, 0.0, "")
        work = Path(tempfile.mkdtemp(prefix=_WORK_PREFIX, dir=cache))
        try:
            made = work / recipe.name
            process = self._start(recipe, made, log, work)
            try:
                while not _ended(process):
                    self._tell(number, recipe, time.monotonic() - started, _latest(log))
            finally:
                _end_group(process)
            if process.returncode != 0:
                raise explain_failure(recipe.name, log.read_text("utf-8", "replace"), log)
            target.parent.mkdir(exist_ok=True)
            made.replace(target)  # whole or not at all
        finally:
            shutil.rmtree(work)
        took = time.monotonic() - started
        self.forecast.finish(took)
        self._tell(number, recipe, took, "", finished=True)

    def _start(self, recipe: Recipe, made: Path, log: Path, work: Path) -> subprocess.Popen[bytes]:
        scratch = work / "tmp"
        scratch.mkdir()
        with log.open("wb") as output:
            return subprocess.Popen(  # noqa: S603 - fixed arguments
                [self.toolchain.go, "build", "-v", *recipe.flags, "-o", made, recipe.package],
                cwd=recipe.directory,
                # Go's scratch files lie in the work folder too, so that nothing stays behind when go is killed.
                env={**self.toolchain.environ, "GOTMPDIR": str(scratch)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # go starts compilers: they are ended together
            )

    def _tell(self, number: int, recipe: Recipe, elapsed: float, latest: str, *, finished: bool = False) -> None:
        last = finished and number == len(self.recipes)
        running = 0.0 if finished else elapsed
        self.progress(
            Building(
                binary=f"{recipe.name} {recipe.version}",
                number=number,
                total=len(self.recipes),
                elapsed=elapsed,
                fraction=self.forecast.fraction(running),
                remaining=0.0 if last else self.forecast.remaining(running),
                latest=latest,
                finished=finished,
            )
        )


def _ended(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(_REPORT_EVERY)
    except subprocess.TimeoutExpired:
        return False
    return True


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """No compiler outlives the build: asked first, so that go tidies up, then killed."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_INTERRUPT_GRACE)
    with suppress(ProcessLookupError, PermissionError):  # macOS answers EPERM for a group of ended processes
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _latest(log: Path) -> str:
    """What go is doing, from the last whole line of its output."""
    with log.open("rb") as output:
        output.seek(max(0, output.seek(0, os.SEEK_END) - 500))
        lines = output.read().decode("utf-8", "replace").splitlines()
    if not lines:
        return "reading modules"
    line = lines[-1].strip()
    return line.removeprefix("go: ") if line.startswith("go: ") else f"compiling {line}"
