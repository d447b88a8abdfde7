"""What the tests of all parts share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.flink.fake import FakeFlink, running


@pytest.fixture
async def fake_flink() -> AsyncIterator[FakeFlink]:
    """A Flink 2.3 with the jobs of the demo, as it was recorded; it breaks when it is told to."""
    async with running("2.3") as flink:
        yield flink
