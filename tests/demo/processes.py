"""Which processes are still there?"""

from __future__ import annotations

import subprocess
import time


def gone(pid: int, within: float = 10.0) -> bool:
    """Whether the process has ended. (One that nobody has waited for yet has.)"""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
        if state.stdout.strip()[:1] in {"", "Z"}:
            return True
        time.sleep(0.05)
    return False
