"""Is the table of metrics by version that of what was seen, and has every gap in it a reason?"""

from __future__ import annotations

import json

import pytest

from tests import matrix

SEEN = json.loads(matrix.SEEN.read_text())


def test_all_versions_were_tried() -> None:
    assert tuple(SEEN) == matrix.VERSIONS


def test_the_table_is_current() -> None:
    assert matrix.TABLE.read_text() == matrix.table(SEEN)


@pytest.mark.parametrize("version", matrix.VERSIONS)
def test_what_a_version_lacks_has_a_reason(version: str) -> None:
    assert matrix.missing(SEEN[version], version) == []


def test_no_reason_is_given_for_a_metric_that_is_not() -> None:
    assert {*matrix.ELSEWHERE, *matrix.SINCE} <= set(matrix.all_names())
