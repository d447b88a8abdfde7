"""What does the person see of the jobs while the demo runs?"""

from __future__ import annotations

import io

from exporter.demo import live
from exporter.derive import Derived
from exporter.families import Row
from exporter.flink.scrape import Scrape
from exporter.model import Cluster, ClusterState
from exporter.signals import lifecycle, restarts, skew
from exporter.symptoms import verdict
from exporter.watch import Report

JOB = ("default", "4f", "orders-skewed")
SOURCE = (*JOB, "s1", "Source: orders[8] -> Calc[9]")
AGGREGATE = (*JOB, "a2", "GroupAggregate[11] -> customers[12]: Writer")

ROWS = (
    Row(lifecycle.STATE, (*JOB, "RUNNING"), 1.0),
    Row(verdict.SCORE, JOB, 0.75),
    Row(restarts.TOTAL, JOB, 3.0),
    Row(skew.RATIO, (*SOURCE, "records"), 1.0),
    Row(skew.RATIO, (*AGGREGATE, "records"), 1.9),
    Row(skew.RATIO, (*AGGREGATE, "busy"), 2.0),
    Row(verdict.SYMPTOM["job"], (*JOB, "skew", "warning"), 1.0),
    Row(verdict.SYMPTOM["job"], (*JOB, "bottleneck", "warning"), 1.0),
)


def test_a_job_is_one_line_with_the_greatest_value_of_its_tasks_and_what_is_wrong() -> None:
    header, line = live.table(ROWS)
    titles = "job state score restarts skew watermark lag stalled checkpoint state grows what is wrong"
    assert " ".join(header.split()) == titles
    assert " ".join(line.split()) == "orders-skewed RUNNING 75% 3 1.90 - - - - skew, bottleneck"


def test_jobs_stand_in_the_order_of_their_names() -> None:
    other = Row(lifecycle.STATE, ("default", "11", "clicks", "FAILED"), 1.0)
    assert [line.split()[0] for line in live.table((*ROWS, other))[1:]] == ["clicks", "orders-skewed"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def report() -> Report:
    cluster = Cluster(name="default", state=ClusterState.UP, taken_at=0.0)
    return Report(Scrape(cluster), Derived(ROWS), 0.0)


def test_a_terminal_sees_one_table_that_is_drawn_again() -> None:
    terminal = Terminal()
    draw = live.LiveTable(terminal)
    draw(report())
    draw(report())
    assert terminal.getvalue().count("\x1b[3F\x1b[J") == 1  # two lines of the table and one below it


def test_a_file_gets_a_table_now_and_then() -> None:
    file, seconds = io.StringIO(), iter([0.0, 0.0, 30.0, 61.0, 61.0])  # a table drawn asks for the time twice
    draw = live.LiveTable(file, lambda: next(seconds))
    for _ in range(3):
        draw(report())
    assert file.getvalue().count("orders-skewed") == 2
    assert "\x1b" not in file.getvalue()
