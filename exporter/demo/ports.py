"""Which ports of this machine are free?"""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Iterable

from exporter.demo.errors import DemoError

# Below the ports that Linux and macOS give to outgoing connections, so that none of those takes a port between our
# look and its use.
_SINGLE = range(20_000, 30_000)
_IN_A_ROW = range(30_000, 32_500)  # apart, so that the ports of one cluster do not meet either
REPORTERS = 12  # a JobManager and its TaskManagers, with room for some that are started later


def is_free(port: int) -> bool:
    """Whether a server may listen on `port`, on the loopback interface and on all of them."""
    return _can_bind("127.0.0.1", port) and _can_bind("", port)


def free_ports(count: int, free: Callable[[int], bool] = is_free) -> list[int]:
    """Return `count` different ports; a random choice, so that two clusters that start together hardly meet."""
    found: list[int] = []
    for port in random.sample(_SINGLE, len(_SINGLE)):
        if len(found) == count:
            break
        if free(port):
            found.append(port)
    if len(found) < count:
        raise DemoError(f"no {count} free ports between {_SINGLE.start} and {_SINGLE.stop}")
    return found


def one_of(usual: Iterable[int], free: Callable[[int], bool] = is_free) -> int:
    """The first usual port that is free, or any free one."""
    return next((port for port in usual if free(port)), None) or free_ports(1, free)[0]


def reporter_range(usual: int | None, free: Callable[[int], bool] = is_free) -> range:
    """`REPORTERS` free ports in a row: from `usual` on if those are free, else anywhere."""
    starts = list(_IN_A_ROW[::REPORTERS])
    random.shuffle(starts)
    for start in ([usual] if usual else []) + starts:
        ports = range(start, start + REPORTERS)
        if all(free(port) for port in ports):
            return ports
    raise DemoError(f"no {REPORTERS} free ports in a row for the metric reporters")


def _can_bind(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As Java does: a port in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
