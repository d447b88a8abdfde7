"""The catalogue of ill jobs, as data. (That each is ill in its way, a real cluster tells.)"""

from __future__ import annotations

import pytest

from exporter.demo.command import slots_of_each
from exporter.demo.jobs import CATALOGUE, CLICKS, ORDERS, PAYMENTS, STALL_AFTER, Job
from exporter.demo.lookup import class_file

each_job = pytest.mark.parametrize("job", [pytest.param(job, id=job.name) for job in CATALOGUE])


def test_names_differ() -> None:
    assert len({job.name for job in CATALOGUE}) == len(CATALOGUE)


@each_job
def test_the_last_statement_alone_starts_the_job(job: Job) -> None:
    *before, last = job.statements(now=0.0)
    assert last.startswith("INSERT INTO ")
    assert all(statement.startswith("CREATE ") for statement in before)
    assert not any("$" in statement or statement.endswith(";") for statement in [*before, last])


@each_job
def test_what_is_wrong_is_one_sentence(job: Job) -> None:
    assert job.wrong.endswith(".")
    assert job.wrong.count(". ") == 0


@each_job
def test_every_job_has_checkpoints(job: Job) -> None:
    assert job.options()["execution.checkpointing.interval"].endswith("s")


@each_job
def test_every_job_keeps_its_last_checkpoint(job: Job) -> None:
    retention = "execution.checkpointing.externalized-checkpoint-retention"
    assert job.options()[retention] == "RETAIN_ON_CANCELLATION"


def test_the_skewed_job_has_no_watermark() -> None:
    assert "WATERMARK" not in ORDERS.sql


def test_the_watermark_stalls_a_while_after_the_start() -> None:
    assert STALL_AFTER == 60
    # 1000 s + 60 s = 1,060,000 ms
    assert "TO_TIMESTAMP_LTZ(1060000, 3)" in CLICKS.statements(now=1000.0)[1]


@pytest.mark.parametrize(
    ("taskmanagers", "slots"),
    [
        pytest.param(1, 11, id="one for all: 5 jobs of 2 and one of 1"),
        pytest.param(2, 11, id="one for all, if the other is lost"),
        pytest.param(3, 8, id="two for all, if the third is lost: 6 each, but never less than 8"),
    ],
)
def test_there_are_slots_for_all_jobs_with_one_taskmanager_fewer(taskmanagers: int, slots: int) -> None:
    assert slots_of_each(taskmanagers, CATALOGUE) == slots


def test_the_usual_slots_do_for_one_job() -> None:
    assert slots_of_each(2, (PAYMENTS,)) == 8


def test_the_class_that_waits_is_for_java_8_and_later() -> None:
    magic, major = class_file()[:4], int.from_bytes(class_file()[6:8])
    assert magic == b"\xca\xfe\xba\xbe"
    assert major == 52  # Java 8
