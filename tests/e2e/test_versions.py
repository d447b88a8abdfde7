"""Is every metric published that a version of Flink can support? The oldest and the newest; the others on demand."""

from __future__ import annotations

import pytest

from tests import matrix

pytestmark = pytest.mark.flink


@pytest.mark.parametrize("version", [matrix.OLDEST, matrix.NEWEST])
def test_every_metric_is_published_that_this_version_supports(version: str) -> None:
    with matrix.watched(version) as (_, running):
        seen = matrix.published(running)
    assert matrix.missing(seen, version) == []
