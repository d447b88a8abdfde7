"""Does every query of the dashboards have data, and where not, is that what its panel says?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from tests.alerting.stack import Stack
from tests.grafana.boards import Query, asked, panels, queries

# What is so in the scenario, in the words of the panels that are empty for it. Nearly every panel says when it is
# empty; only that it says so of what was really the case is worth anything.
TRUE_HERE = (
    # Generated records: nothing is left to read, and nothing is committed.
    "no source of it tells its lag",
    "no source tells its lag",
    "no source tells anything of its lag",
    "no source tells for how long it is idle",
    "no source counts its errors",
    "no source commits offsets",
    "no source catches up",
    # Each job is a source and one task after it.
    "no task between the first and the last",
    "no task holds the job back",
    # What expires never completes, and is seen in progress only now and then.
    "checkpoints do not take long",
    "checkpoints take long",
    "latency tracking is off",
    # How the jobs lie on the TaskManagers decides whether one of these may be lost.
    "nothing in the configuration is found wanting",
    "no TaskManager has a symptom",
    "every signal succeeds",
    "no request has failed",
)


def answered(around: Stack, since: float, moments: Iterable[float]) -> dict[Query, bool]:
    """Of each query, whether it had data: at one of the moments, or where it is drawn over time, ever since."""
    moments = tuple(moments)

    def has_data(query: Query) -> bool:
        expr = asked(query.expr)
        if query.instant:
            return any(around.has_data_at(expr, moment) for moment in moments)
        return around.has_data_since(expr, since)

    return {query: has_data(query) for query in queries()}


def when_empty(query: Query) -> str:
    """What its panel says of when it is empty; nothing where it does not."""
    (description,) = {panel["description"] for panel in panels(query.board) if panel["title"] == query.panel}
    found = re.search(r"^Empty when .*$", description, re.MULTILINE)
    return found[0] if found else ""


def unexplained(answers: Mapping[Query, bool]) -> list[str]:
    """The queries without data whose panels give no reason that was one here."""
    return [
        f"{query.name}: {when_empty(query)}"
        for query, found in answers.items()
        if not found and not any(reason in when_empty(query) for reason in TRUE_HERE)
    ]
