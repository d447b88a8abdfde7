"""Is what is generated of the chart current?"""

from __future__ import annotations

from tests.chart import generate


def test_what_is_generated_is_current() -> None:
    """`python -m tests.chart.generate` renews it."""
    generate.check()
