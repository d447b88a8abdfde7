"""The signals there are, in the order of their documentation. A new one is added here and nowhere else."""

from exporter.signals import (
    bottleneck,
    busy,
    checkpoint,
    cluster,
    config_lint,
    coverage,
    failures,
    gc,
    heap,
    latency,
    lifecycle,
    resources,
    restarts,
    skew,
    slots,
    source_lag,
    throughput,
    watermark,
)
from exporter.signals.base import Signal

SIGNALS: tuple[Signal, ...] = (
    cluster.SIGNAL,
    slots.SIGNAL,
    lifecycle.SIGNAL,
    restarts.SIGNAL,
    failures.SIGNAL,
    config_lint.SIGNAL,
    checkpoint.SIGNAL,
    coverage.SIGNAL,
    busy.SIGNAL,
    bottleneck.SIGNAL,
    skew.SIGNAL,
    throughput.SIGNAL,
    latency.SIGNAL,
    watermark.SIGNAL,
    source_lag.SIGNAL,
    heap.SIGNAL,
    gc.SIGNAL,
    resources.SIGNAL,
)
