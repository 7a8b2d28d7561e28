"""What is in memory stays there."""

from __future__ import annotations

import subprocess
import sys

import pytest

ASKED = """
import ctypes, resource, sys
import keywright.cli.main; module = sys.modules["keywright.cli.main"]
module.app = lambda: print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), *resource.getrlimit(resource.RLIMIT_CORE))
module.main()
"""
"""What a command finds: PR_GET_DUMPABLE, and both limits of a core file."""


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_no_command_leaves_a_core_or_lets_itself_be_read():
    """Before any of them begins: neither by a limit nor by a core pattern that pipes, and nobody of the same user attaches."""
    done = subprocess.run((sys.executable, "-c", ASKED), capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["0", "0", "0"]
