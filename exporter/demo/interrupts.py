"""What must a Ctrl-C not tear apart, and what else is one?"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Put a KeyboardInterrupt off until the block has ended. A second one does not wait."""
    if threading.current_thread() is not threading.main_thread():
        yield  # where none comes
        return
    put_off: list[int] = []

    def put_off_once(number: int, frame: FrameType | None) -> None:
        if put_off:
            raise KeyboardInterrupt
        put_off.append(number)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number in before:
            signal.signal(number, put_off_once)
        yield
    finally:
        for number, reaction in before.items():
            signal.signal(number, reaction)
    if put_off:
        raise KeyboardInterrupt


@contextlib.contextmanager
def sigterm_is_one() -> Iterator[None]:
    """SIGTERM does what Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
