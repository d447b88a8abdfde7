"""How long do 50,000 rows take, and how much longer in the plain client?

Run: python -m tests.bench.exposition
"""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import TypeVar

from prometheus_client import generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import CollectorRegistry

from exporter.families import Family, Row
from exporter.publish.exposition import Format, Registry, Section, Variant, page, render

TASKS = 1250
FAMILIES = [
    Family(
        f"flink_health_task_number{n}_ratio",
        "One of many.",
        "made up",
        labels=("signal",) if n % 10 == 0 else (),
    )
    for n in range(40)
]

T = TypeVar("T")


class Plain(CollectorRegistry):
    """The same rows, as a collector for the plain client would give them."""

    def __init__(self, rows: list[Row]) -> None:
        super().__init__()
        self.rows = rows

    def collect(self) -> Iterator[Metric]:
        metrics: dict[str, GaugeMetricFamily] = {}
        for family, labels, value in self.rows:
            metric = metrics.get(family.name)
            if metric is None:
                metric = GaugeMetricFamily(family.name, family.help, labels=family.all_labels)
                metrics[family.name] = metric
            metric.add_metric(labels, value)
        yield from metrics.values()


def made_up() -> list[Row]:
    """Rows in the order that a cycle gives them: task by task. A tenth of the families has its own label."""
    dice = random.Random(1)
    rows = []
    for task in range(TASKS):
        job = task // 10
        identity = (
            "prod-eu-1",
            f"{dice.getrandbits(128):032x}",
            f"orders-{job}",
            f"{dice.getrandbits(128):032x}",
            f"Source: Kafka topic {task} -> Map -> Filter",
        )
        for family in FAMILIES:
            own = ("records",) if family.labels else ()
            rows.append(Row(family, identity + own, dice.random() * 10 ** dice.randrange(-3, 9)))
    return rows


def best(work: Callable[[], T], times: int = 5) -> tuple[float, T]:
    """(milliseconds of the fastest run, its result)."""
    fastest = float("inf")
    for _ in range(times):
        start = perf_counter()
        result = work()
        fastest = min(fastest, (perf_counter() - start) * 1000)
    return fastest, result


def joined(section: Section, variant: Variant) -> bytes:
    return page([section], Registry()).body(variant)


def main() -> None:
    rows = made_up()
    plain = Plain(rows)
    text_ms, text = best(lambda: generate_latest(plain))
    open_ms, openmetrics = best(lambda: generate_openmetrics(plain))  # type: ignore[no-untyped-call]
    render_ms, section = best(lambda: render(rows))
    join_text_ms, our_text = best(lambda: joined(section, Variant(Format.TEXT, False)))
    join_open_ms, our_openmetrics = best(lambda: joined(section, Variant(Format.OPENMETRICS, False)))
    gzip_ms, packed = best(lambda: joined(section, Variant(Format.OPENMETRICS, True)))
    six_ms, six = best(lambda: gzip.compress(our_openmetrics, 6, mtime=0))
    assert (our_text, our_openmetrics) == (text, openmetrics)

    both_ms = text_ms + open_ms
    print(f"{len(rows):,} rows, {len(text) / 1e6:.1f} MB")
    print(f"plain client   text {text_ms:.0f} ms, OpenMetrics {open_ms:.0f} ms, both {both_ms:.0f} ms")
    print(f"render         {render_ms:.0f} ms for both formats: 1/{both_ms / render_ms:.1f} of the plain client")
    print(f"               1/{text_ms / render_ms:.1f} of its text alone")
    print(f"join           text {join_text_ms:.1f} ms, OpenMetrics {join_open_ms:.1f} ms")
    print(f"join and gzip  {gzip_ms:.0f} ms, {len(packed) / 1e6:.2f} MB")
    print(f"gzip level 6   {six_ms:.0f} ms, {len(six) / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
