"""Does each signal read what it declares, all of it and nothing else, and can it say all that it declares?"""

from __future__ import annotations

import pytest

from exporter.derive import derive
from exporter.families import Row
from exporter.history import History
from exporter.signals import SIGNALS
from exporter.signals.base import Signal
from tests.signals.build import down
from tests.signals.rich import Touched, rich

EVERY = pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.name)

# As many as the longest memory needs before it says something.
LOOKS = 20


def life(signal: Signal, touched: Touched, *, says: bool) -> list[Row]:
    """All that a signal says in a life of so many looks, and of the cluster's end."""
    history = History()
    times = [600.0 + 15 * number for number in range(LOOKS)]
    said = [derive(rich(now, touched, says=says), [signal], history, now) for now in times]
    said.append(derive(down(at=times[-1] + 15), [signal], history, times[-1] + 15))
    for derived in said:
        for failure in derived.failures.values():
            raise failure
    return [row for derived in said for row in derived.rows]


@EVERY
def test_a_signal_touches_what_it_needs_and_nothing_else(signal: Signal) -> None:
    touched: Touched = set()
    life(signal, touched, says=True)
    life(signal, touched, says=False)  # where one reading says nothing, another may have to
    assert touched == set(signal.needs)
    assert len(signal.needs) == len(set(signal.needs))
    assert set(signal.on_demand) <= set(signal.needs)


@EVERY
def test_a_signal_can_say_all_that_it_declares_and_labels_it_right(signal: Signal) -> None:
    rows = life(signal, set(), says=True)
    assert {row.family.name for row in rows} == {family.name for family in signal.families}
    assert {len(row.labels) - len(row.family.all_labels) for row in rows} == {0}
    assert all(isinstance(label, str) for row in rows for label in row.labels)


@EVERY
def test_no_series_twice(signal: Signal) -> None:
    derived = derive(rich(600.0, set()), [signal], History(), 600.0)
    series = [(row.family.name, row.labels) for row in derived.rows]
    assert len(series) == len(set(series))
