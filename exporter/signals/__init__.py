"""The signals there are, in the order of their documentation. A new one is added here and nowhere else."""

from exporter.signals import checkpoint, cluster, coverage, heap, lifecycle, skew, watermark
from exporter.signals.base import Signal

SIGNALS: tuple[Signal, ...] = (
    cluster.SIGNAL,
    lifecycle.SIGNAL,
    checkpoint.SIGNAL,
    coverage.SIGNAL,
    skew.SIGNAL,
    watermark.SIGNAL,
    heap.SIGNAL,
)
