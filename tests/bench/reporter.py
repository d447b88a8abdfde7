"""How long does a page of 100,000 series take, at first sight and again, and how much longer in the plain client?

Run: python -m tests.bench.reporter
"""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable, Iterator
from time import perf_counter

from prometheus_client.parser import text_string_to_metric_families

from exporter.flink.reporter import Lines, family_name
from exporter.model import Raw, Scope
from tests.flink.fake import blocks

TASKS, SUBTASKS, OPERATORS = 40, 25, 3
OTHERS = 85  # families of tasks that nobody wants
CHUNK = 64 * 1024

WANTED = (
    *(Raw(Scope.TASK, name) for name in ("numRecordsIn", "numRecordsOut", "accumulateBusyTimeMs")),
    *(Raw(Scope.TASK, name) for name in ("accumulateIdleTimeMs", "accumulateBackPressuredTimeMs")),
    Raw(Scope.TASK, "currentInputWatermark"),
    *(Raw(Scope.OPERATOR, name) for name in ("currentOutputWatermark", "numRecordsIn", "numLateRecordsDropped")),
)


def made_up() -> bytes:
    """The page of a TaskManager that runs a subtask of nearly everything, as Flink's reporter writes it."""
    dice = random.Random(1)
    owners = [
        f'job_id="{dice.getrandbits(128):032x}",task_id="{dice.getrandbits(128):032x}",'
        f'task_attempt_id="{dice.getrandbits(256):064x}_{subtask}_0",host="tm_17_flink_prod",'
        f'task_name="Source:_orders_{task}____Calc_{task}____Filter_{task}",task_attempt_num="0",'
        f'job_name="orders_enrichment_{task // 10}",tm_id="tm_17_flink_prod:6122_1a2b3c",subtask_index="{subtask}",'
        for task in range(TASKS)
        for subtask in range(SUBTASKS)
    ]
    lines: list[str] = []

    def block(name: str, labels: Iterator[str]) -> None:
        lines.extend((f"# HELP {name} {name} (scope: taskmanager_job_task)", f"# TYPE {name} gauge"))
        lines.extend(f"{name}{{{label}}} {float(dice.randrange(10**9))}" for label in labels)

    for raw in WANTED:
        if raw.scope is Scope.TASK:
            block(family_name(raw), iter(owners))
        else:
            block(
                family_name(raw),
                (f'{owner}operator_id="o{n}",operator_name="Calc_{n}",' for owner in owners for n in range(OPERATORS)),
            )
    for number in range(OTHERS):
        block(f"flink_taskmanager_job_task_somethingElse{number}", iter(owners))
    return "\n".join([*lines, ""]).encode()


def read(lines: Lines, page: bytes) -> int:
    """As it comes over HTTP; how many values were read."""
    for start in range(0, len(page), CHUNK):
        lines.feed(page[start : start + CHUNK])
    return sum(map(len, lines.finish().cells.values()))


def plainly(page: bytes) -> int:
    wanted = set(Lines(WANTED).families)
    families = text_string_to_metric_families(page.decode())
    return sum(len(family.samples) for family in families if family.name in wanted)


def measured(work: Callable[[], int]) -> tuple[float, float, int]:
    """Milliseconds of the fastest run, megabytes at the most, and the result."""
    milliseconds = float("inf")
    for _ in range(3):
        start = perf_counter()
        result = work()
        milliseconds = min(milliseconds, (perf_counter() - start) * 1000)
    tracemalloc.start()
    work()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return milliseconds, most / 1e6, result


def main() -> None:
    page = made_up()
    wanted = b"".join(blocks(page, Lines(WANTED).families))
    series = sum(not line.startswith(b"#") for line in page.splitlines())
    known = Lines(WANTED)
    read(known, page)

    plain_ms, plain_mb, plain_values = measured(lambda: plainly(page))
    first_ms, first_mb, values = measured(lambda: read(Lines(WANTED), page))
    again_ms, again_mb, _ = measured(lambda: read(known, page))
    filtered_ms, filtered_mb, filtered_values = measured(lambda: read(known, wanted))
    assert values == plain_values == filtered_values

    print(f"{series:,} series, {len(page) / 1e6:.0f} MB; {values:,} of them wanted, {len(wanted) / 1e6:.0f} MB")
    print(f"plain client          {plain_ms:6.0f} ms  {plain_mb:6.1f} MB")
    print(f"at first sight        {first_ms:6.0f} ms  {first_mb:6.1f} MB  1/{plain_ms / first_ms:.0f} of its time")
    print(f"again                 {again_ms:6.0f} ms  {again_mb:6.1f} MB  1/{plain_ms / again_ms:.0f}")
    print(f"again, asked by name  {filtered_ms:6.0f} ms  {filtered_mb:6.1f} MB  1/{plain_ms / filtered_ms:.0f}")


if __name__ == "__main__":
    main()
