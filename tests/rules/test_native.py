"""Do the alerts on Flink's own metrics fire when they should, in spite of resets, sentinels and many subtasks?"""

from __future__ import annotations

from pathlib import Path

from tests.rules.cases import Case, Fires, each, run, untested

CLUSTER = {"cluster": "prod"}
JOB = {**CLUSTER, "job_id": "j1", "job_name": "orders"}
TM = {**CLUSTER, "host": "worker-1", "tm_id": "worker_1:6122_a"}


def series(name: str, **labels: str) -> str:
    inner = ",".join(f'{label}="{said}"' for label, said in labels.items())
    return f"flink_{name}{{{inner}}}"


def jm(name: str) -> str:
    """Of the JobManager."""
    return series(f"jobmanager_{name}", **CLUSTER, host="jobmanager")


def job(name: str, **labels: str) -> str:
    """Of the job, as the JobManager has it."""
    return series(f"jobmanager_job_{name}", **{**JOB, "host": "jobmanager", **labels})


def task(name: str, subtask: int = 0, task: str = "t1", attempt: int = 0) -> str:
    """Of a subtask."""
    own = {
        "task_id": task,
        "task_name": "Sum",
        "subtask_index": str(subtask),
        "task_attempt_id": f"{subtask}_{attempt}",
    }
    return series(f"taskmanager_job_task_{name}", **(JOB | TM | own))


def tm(name: str) -> str:
    return series(f"taskmanager_Status_JVM_{name}", **TM)


def both(labels: dict[str, str], summary: str) -> list[Fires]:
    """A warning, and its critical alert beside it."""
    return [Fires("warning", labels, summary), Fires("critical", labels, summary)]


RUNNING = job("runningTime")
FAILED, COMPLETED = job("numberOfFailedCheckpoints"), job("numberOfCompletedCheckpoints")
RESTARTS, DURATION = job("numRestarts"), job("lastCheckpointDuration")
IN, OUT = "numRecordsInPerSecond", "numRecordsOutPerSecond"
WATERMARK, PENDING = "currentInputWatermark", "operator_pendingRecords"
NAN = " ".join(["NaN"] * 200)  # promtool cannot repeat it
NONE_YET, ENDED = "-9223372036854775808", "9223372036854775807"
G1 = "GarbageCollector_G1_Young_Generation_Time"
LAG_MAX = "operator_KafkaSourceReader_KafkaConsumer_records_lag_max"

NOT_RUNNING = "orders: The job is neither running nor at its end: it is being started, restarted or stopped"
WORKER = "TaskManager worker_1:6122_a"
HEAP = WORKER + ": Garbage collection cannot free more than the rest of the heap: {} stays in use"
CLASSES = f"{WORKER}: 98% of the metaspace is used: classes of jobs that have ended may not be let go"
STALLED = "orders: Event time has stood still for 10 minutes: windows do not close"
NO_SLOT = "Flink prod: No slot is free, and a job does not run"

CASES = [
    Case(
        "its JobManager is no longer scraped, another cluster's is",
        "FlinkClusterUnreachable",
        {jm("numRunningJobs"): "3x5 stale", 'flink_jobmanager_numRunningJobs{cluster="test"}': "1x30"},
        "15m",
        [
            Fires(
                "critical",
                CLUSTER,
                "Flink prod: no JobManager is scraped that was an hour ago: nothing is known of its jobs",
            )
        ],
    ),
    Case("another JobManager takes over", "FlinkClusterUnreachable", {jm("numRunningJobs"): "3x5 stale 3x20"}, "8m"),
    Case(
        "three of five are gone",
        "FlinkTaskManagerLost",
        {jm("numRegisteredTaskManagers"): "5x5 2x30"},
        "8m",
        both(CLUSTER, "Flink prod: TaskManagers fewer than in the last 15 minutes: 3"),
    ),
    Case(
        "one of five is",
        "FlinkTaskManagerLost",
        {jm("numRegisteredTaskManagers"): "5x5 4x30"},
        "8m",
        [Fires("warning", CLUSTER, "Flink prod: TaskManagers fewer than in the last 15 minutes: 1")],
    ),
    Case("they register anew", "FlinkTaskManagerLost", {jm("numRegisteredTaskManagers"): "5x5 0 5x30"}, "7m"),
    Case("more were started", "FlinkTaskManagerLost", {jm("numRegisteredTaskManagers"): "2x5 5x30"}, "8m"),
    Case(
        "a job waits, though it counts as running (2.2)",
        "FlinkSlotsExhausted",
        {jm("taskSlotsAvailable"): "0x30", RUNNING: "0+60000x30", job("allSubTasksRunningOrFinishedTime"): "0x30"},
        "12m",
        both(CLUSTER, NO_SLOT),
    ),
    Case(
        "a job is between two tries (before 2.2)",
        "FlinkSlotsExhausted",
        {jm("taskSlotsAvailable"): "0x30", RUNNING: "0x30"},
        "5m",
        [Fires("warning", CLUSTER, NO_SLOT)],
    ),
    Case(
        "all slots are used, and all jobs run",
        "FlinkSlotsExhausted",
        {
            jm("taskSlotsAvailable"): "0x30",
            RUNNING: "9+60000x30",
            job("allSubTasksRunningOrFinishedTime"): "9+60000x30",
        },
        "12m",
    ),
    Case("it does not come to run", "FlinkJobNotRunning", {RUNNING: "0x30"}, "20m", both(JOB, NOT_RUNNING)),
    Case("for 7 minutes", "FlinkJobNotRunning", {RUNNING: "0x30"}, "7m", [Fires("warning", JOB, NOT_RUNNING)]),
    Case("it runs again after 3 minutes", "FlinkJobNotRunning", {RUNNING: "0x3 5000+60000x30"}, "9m"),
    Case(
        "it vanishes",
        "FlinkJobGone",
        {RUNNING: "0+60000x5 stale", jm("numRunningJobs"): "1x5 0x30"},
        "15m",
        [
            Fires(
                "warning",
                {**CLUSTER, "job_name": "orders"},
                "orders: The job was there an hour ago and is not any more, nor is another one of its name",
            )
        ],
    ),
    Case(
        "another of its name took its place",
        "FlinkJobGone",
        {RUNNING: "0+60000x5 stale", job("runningTime", job_id="j2"): "_x6 0+60000x30", jm("numRunningJobs"): "1x30"},
        "15m",
    ),
    Case(
        "the JobManager is gone, not the job",
        "FlinkJobGone",
        {RUNNING: "0+60000x5 stale", jm("numRunningJobs"): "1x5 stale"},
        "15m",
    ),
    Case(
        "3 restarts in 10 minutes",
        "FlinkRestartsFrequent",
        {RESTARTS: "7x5 8 9 10x20"},
        "10m",
        [Fires("warning", JOB, "orders: Restarts of the job in the last 10 minutes: 3")],
    ),
    Case(
        "3 restarts on a Flink that counts fullRestarts",
        "FlinkRestartsFrequent",
        {job("fullRestarts"): "7x5 8 9 10x20"},
        "10m",
        [Fires("warning", JOB, "orders: Restarts of the job in the last 10 minutes: 3")],
    ),
    Case(
        "40 of a JobManager that is gone: the count falls to 0", "FlinkRestartsFrequent", {RESTARTS: "40x5 0x20"}, "8m"
    ),
    Case("2 restarts in 10 minutes", "FlinkRestartsFrequent", {RESTARTS: "7x5 8 9x20"}, "10m"),
    Case(
        "a restart a minute",
        "FlinkRestartLoop",
        {RESTARTS: "0+1x30"},
        "20m",
        # from that of 10 minutes ago to now
        both(JOB, "orders: The job restarts over and over; restarts in the last 10 minutes: 10"),
    ),
    Case(
        "a restart a minute, for 6 minutes",
        "FlinkRestartLoop",
        {RESTARTS: "0+1x30"},
        "6m",
        [Fires("warning", JOB, "orders: The job restarts over and over; restarts in the last 10 minutes: 6")],
    ),
    Case("40 of a JobManager that is gone: the count falls to 0", "FlinkRestartLoop", {RESTARTS: "40x5 0x20"}, "12m"),
    Case(
        "one of two fails",
        "FlinkCheckpointFailing",
        {FAILED: "0+1x30", COMPLETED: "0+1x30", RESTARTS: "0x30"},
        "20m",
        [
            Fires(
                "warning", JOB, "orders: Checkpoints that failed in the last 10 minutes, without those of restarts: 10"
            )
        ],
    ),
    Case(
        "all fail",
        "FlinkCheckpointFailing",
        {FAILED: "0+1x30", COMPLETED: "9x30", RESTARTS: "0x30"},
        "20m",
        [
            Fires(
                "warning", JOB, "orders: Checkpoints that failed in the last 10 minutes, without those of restarts: 10"
            ),
            Fires("critical", JOB, "orders: No checkpoint completed in the last 10 minutes, and this many failed: 10"),
        ],
    ),
    Case(
        "each restart declines one",
        "FlinkCheckpointFailing",
        {FAILED: "1+1x30", COMPLETED: "0+1x30", RESTARTS: "0+1x30"},
        "20m",
    ),
    Case(
        "another JobManager begins to count",
        "FlinkCheckpointFailing",
        {FAILED: "50x10 0x20", COMPLETED: "900x10 0+1x20", RESTARTS: "0x30"},
        "15m",
    ),
    Case(
        "none completes for half an hour",
        "FlinkCheckpointOverdue",
        {COMPLETED: "5x60", RUNNING: "0+60000x60", job("totalNumberOfCheckpoints"): "6x60"},
        "40m",
        [Fires("warning", JOB, "orders: No checkpoint has completed for 30 minutes")],
    ),
    Case(
        "one in 10 minutes does",
        "FlinkCheckpointOverdue",
        {COMPLETED: "5x10 6x10 7x10 8x10 9x10", RUNNING: "0+60000x60", job("totalNumberOfCheckpoints"): "6x60"},
        "40m",
    ),
    Case(
        "it takes none at all",
        "FlinkCheckpointOverdue",
        {COMPLETED: "0x60", RUNNING: "0+60000x60", job("totalNumberOfCheckpoints"): "0x60"},
        "40m",
    ),
    Case(
        "10 s for 2 hours, then a minute",
        "FlinkCheckpointSlow",
        {DURATION: "-1x9 10000x119 60000x30"},
        "143m",
        # 60 s / 10 s
        both(JOB, "orders: Checkpoints take 6.0 times as long as is normal for this job"),
    ),
    Case(
        "10 s for 2 hours, then half a minute",
        "FlinkCheckpointSlow",
        {DURATION: "-1x9 10000x119 30000x30"},
        "143m",
        [Fires("warning", JOB, "orders: Checkpoints take 3.0 times as long as is normal for this job")],
    ),
    Case("10 ms, then 100: no news", "FlinkCheckpointSlow", {DURATION: "10x129 100x30"}, "143m"),
    Case("half an hour is too short a past", "FlinkCheckpointSlow", {DURATION: "10000x29 60000x30"}, "45m"),
    Case(
        "one subtask of two is busy all the time, and a source does not say",
        "FlinkTaskSaturated",
        {
            task("busyTimeMsPerSecond"): "950x30",
            task("busyTimeMsPerSecond", 1): "100x30",
            task("busyTimeMsPerSecond", task="t0"): NAN,
        },
        "20m",
        [Fires("warning", JOB, "orders: A task is busy 95% of its time: it has no room for more")],
    ),
    Case(
        "busy half of the time",
        "FlinkTaskSaturated",
        {task("busyTimeMsPerSecond"): "500x30", task("busyTimeMsPerSecond", task="t0"): NAN},
        "20m",
    ),
    Case(
        "backpressured, on two subtasks: one alert",
        "FlinkBottleneck",
        {task("backPressuredTimeMsPerSecond"): "930x30", task("backPressuredTimeMsPerSecond", 1): "900x30"},
        "20m",
        [Fires("warning", JOB, "orders: A task waits 93% of its time for a task after it to take its records")],
    ),
    Case("now and then", "FlinkBottleneck", {task("backPressuredTimeMsPerSecond"): "0 0 900 0 0 900 0x30"}, "20m"),
    Case(
        "95 % of the records go to one of two subtasks",
        "FlinkSkew",
        {task(IN): "5x30", task(IN, 1): "95x30"},
        "20m",
        # 95 / ((5 + 95) / 2)
        [Fires("warning", JOB, "orders: Records are spread unevenly: one subtask gets 1.9 times the mean")],
    ),
    Case(
        "evenly, but for a subtask that says NaN",
        "FlinkSkew",
        {task(IN): "50x30", task(IN, 1): "50x30", task(IN, 2): NAN},
        "20m",
    ),
    Case("a record now and then", "FlinkSkew", {task(IN): "0x30", task(IN, 1): "1x30"}, "20m"),
    Case(
        "half a second of event time a second",
        "FlinkWatermarkLagGrowing",
        {task(WATERMARK): "1000000+30000x60", task(WATERMARK, 1): f"{NONE_YET}x60"},
        "40m",
        # 1 - 30 s / 60 s
        [Fires("warning", JOB, "orders: Event time falls behind by 0.50 s each second")],
    ),
    Case("a second a second, an hour behind", "FlinkWatermarkLagGrowing", {task(WATERMARK): "1000000+60000x60"}, "40m"),
    Case("it stands still: another alert", "FlinkWatermarkLagGrowing", {task(WATERMARK): "1000000x60"}, "40m"),
    Case(
        "it stands still while records flow; one subtask has reached its end, one has none yet",
        "FlinkWatermarkStalled",
        {
            task(WATERMARK): "1000000x60",
            task(WATERMARK, 1): f"{ENDED}x60",
            task(WATERMARK, 2): f"{NONE_YET}x60",
            task(OUT): "100x60",
        },
        "40m",
        both(JOB, STALLED),
    ),
    Case(
        "since 12 minutes",
        "FlinkWatermarkStalled",
        {task(WATERMARK): "1000000x60", task(OUT): "100x60"},
        "12m",
        [Fires("warning", JOB, STALLED)],
    ),
    Case(
        "a source's, which has no input",
        "FlinkWatermarkStalled",
        {task("operator_currentOutputWatermark"): "1000000x60", task(OUT): "100x60"},
        "12m",
        [Fires("warning", JOB, STALLED)],
    ),
    Case("nothing flows", "FlinkWatermarkStalled", {task(WATERMARK): "1000000x60", task(OUT): "0x60"}, "40m"),
    Case("it moves", "FlinkWatermarkStalled", {task(WATERMARK): "1000000+60000x60", task(OUT): "100x60"}, "40m"),
    Case("no event time", "FlinkWatermarkStalled", {task(WATERMARK): f"{NONE_YET}x60", task(OUT): "100x60"}, "40m"),
    Case(
        "two readers fall behind for 40 minutes",
        "FlinkSourceLagGrowing",
        {task(PENDING): "5000x60 5000+1000x120", task(PENDING, 1): "0x60 0+500x120"},
        "100m",
        # 39 minutes of 1500 a minute, on top of 5000
        [Fires("warning", JOB, "orders: Its sources are 63500 records behind, and fall further behind")],
    ),
    Case(
        "for three hours; only the client's metric is there, one reader's NaN",
        "FlinkSourceLagGrowing",
        {task(LAG_MAX): "0+1000x200", task(LAG_MAX, 1): NAN},
        "180m",
        both(JOB, "orders: Its sources are 180000 records behind, and fall further behind"),
    ),
    Case("up and down", "FlinkSourceLagGrowing", {task(PENDING): " ".join(["20000+2000x9"] * 12)}, "115m"),
    Case("far behind, and catching up", "FlinkSourceLagGrowing", {task(PENDING): "900000-5000x120"}, "60m"),
    Case("5,000 come at once", "FlinkSourceLagGrowing", {task(PENDING): "10x30 5000x60"}, "60m"),
    Case(
        "the collector frees nothing below 96 %",
        "FlinkHeapHigh",
        {tm("Memory_Heap_Used"): "96 99 97 96 98 97x30", tm("Memory_Heap_Max"): "100x40"},
        "20m",
        both(
            TM,
            HEAP.format("97%"),
        ),
    ),
    Case(
        "below 90 %",
        "FlinkHeapHigh",
        {tm("Memory_Heap_Used"): "90x40", tm("Memory_Heap_Max"): "100x40"},
        "20m",
        [
            Fires(
                "warning",
                TM,
                HEAP.format("90%"),
            )
        ],
    ),
    Case(
        "full before it is collected, and empty after",
        "FlinkHeapHigh",
        {
            tm("Memory_Heap_Used"): "30 60 98 30 60 98 30 60 98 30 60 98 30 60 98 30 60 98 30 60 98",
            tm("Memory_Heap_Max"): "100x40",
        },
        "20m",
    ),
    Case("no maximum", "FlinkHeapHigh", {tm("Memory_Heap_Used"): "99x40", tm("Memory_Heap_Max"): "-1x40"}, "20m"),
    Case(
        "two collectors, 24 s and 12 s a minute; All is not counted again",
        "FlinkGcPressure",
        {
            tm(G1): "0+24000x30",
            tm("GarbageCollector_Other_Time"): "0+12000x30",
            tm("GarbageCollector_All_Time"): "0+36000x30",
        },
        "15m",
        # (24 + 12) / 60
        both(TM, f"{WORKER}: Garbage collection takes 60% of the time"),
    ),
    Case(
        "24 s a minute",
        "FlinkGcPressure",
        {tm(G1): "0+24000x30"},
        "15m",
        [Fires("warning", TM, f"{WORKER}: Garbage collection takes 40% of the time")],
    ),
    Case("another JVM begins to count", "FlinkGcPressure", {tm(G1): "900000x10 0+600x30"}, "14m"),
    Case(
        "98 % of it",
        "FlinkMetaspaceHigh",
        {tm("Memory_Metaspace_Used"): "98x30", tm("Memory_Metaspace_Max"): "100x30"},
        "15m",
        both(
            TM,
            CLASSES,
        ),
    ),
    Case(
        "no maximum",
        "FlinkMetaspaceHigh",
        {tm("Memory_Metaspace_Used"): "98x30", tm("Memory_Metaspace_Max"): "-1x30"},
        "15m",
    ),
]


@each(CASES)
def test_alert(case: Case, tmp_path: Path) -> None:
    run("native", case, tmp_path)


def test_every_alert_fires_once_and_is_silent_once() -> None:
    assert not untested("native", CASES)
