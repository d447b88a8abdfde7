"""Resources: what else of a TaskManager is nearly used up, and is it still heard of?"""

from __future__ import annotations

from collections.abc import Iterator

from exporter.families import Family, Sample
from exporter.history import Past
from exporter.model import Raw, Scope, TaskManager
from exporter.signals.base import Signal


def _raw(name: str) -> Raw:
    return Raw(Scope.TASKMANAGER, f"Status.{name}")


METASPACE = Family(
    name="flink_health_taskmanager_metaspace_used_ratio",
    help="Metaspace in use over the most that the JVM may use.",
    formula="Metaspace.Used / Metaspace.Max; absent where the JVM gives no maximum",
)
MANAGED = Family(
    name="flink_health_taskmanager_managed_used_ratio",
    help="Managed memory in use over all of it.",
    formula="Memory.Managed.Used / Memory.Managed.Total; absent where there is none",
)
NETWORK = Family(
    name="flink_health_taskmanager_network_used_ratio",
    help="Network memory in use over all of it.",
    formula="Netty.UsedMemorySegments / Netty.TotalMemorySegments; absent where there are none",
)
FILES = Family(
    name="flink_health_taskmanager_fds_used_ratio",
    help="Open file descriptors over the most that the process may open.",
    formula="FileDescriptor.Open / FileDescriptor.Max; absent where the system gives no maximum",
)
CPU = Family(
    name="flink_health_taskmanager_cpu_load_ratio",
    help="Share of the machine's processors that the process uses.",
    formula="CPU.Load, which is the JVM's own; absent where the JVM does not know it",
)
HEARTBEAT_AGE = Family(
    name="flink_health_taskmanager_heartbeat_age_seconds",
    help="How long the JobManager has not heard of the TaskManager.",
    formula="when the cluster was read, less the last heartbeat, 0 at least; by the exporter's clock against the "
    "JobManager's",
)

# What is used of each, and of how much.
SHARES = {
    METASPACE: (_raw("JVM.Memory.Metaspace.Used"), _raw("JVM.Memory.Metaspace.Max")),
    MANAGED: (_raw("Flink.Memory.Managed.Used"), _raw("Flink.Memory.Managed.Total")),
    NETWORK: (_raw("Shuffle.Netty.UsedMemorySegments"), _raw("Shuffle.Netty.TotalMemorySegments")),
    FILES: (_raw("JVM.FileDescriptor.Open"), _raw("JVM.FileDescriptor.Max")),
}
LOAD = _raw("JVM.CPU.Load")


def derive(taskmanager: TaskManager, past: Past, now: float) -> Iterator[Sample]:
    for family, (part, whole) in SHARES.items():
        used, most = taskmanager.readings.get(part), taskmanager.readings.get(whole)
        if used is not None and most is not None and most > 0:
            yield family.sample(used / most)
    load = taskmanager.readings.get(LOAD)
    if load is not None and load >= 0:  # below 0 the JVM does not know
        yield CPU.sample(load)
    if taskmanager.heartbeat_at is not None:
        yield HEARTBEAT_AGE.sample(max(0.0, now - taskmanager.heartbeat_at))


SIGNAL = Signal(
    name="resources",
    each=(TaskManager,),
    families=(*SHARES, CPU, HEARTBEAT_AGE),
    needs=(*(raw for pair in SHARES.values() for raw in pair), LOAD),
    derive=derive,
)
