"""One scenario: a cluster is well, falls ill in five ways, recovers, and everything that was said of it is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exporter.demo import distribution
from exporter.demo.cluster import FlinkCluster
from tests.alerting.dashboards import answered
from tests.alerting.faults import ALL, CHECKPOINTS, HEALTHY, KILLED, OF_JOBS, RESTARTS, Fault, Gateway, Told
from tests.alerting.stack import CLUSTER, INTERVAL, Notification, Stack, stack
from tests.e2e.background import Background
from tests.e2e.faults import IMPATIENT, Job, Scene
from tests.e2e.running import Exporter, Published, exporter
from tests.grafana.boards import Query

PATIENCE = 0.05
_WELL = 40.0  # seconds in which nothing is wrong
_TASKMANAGERS, _SLOTS = 2, 12  # of which one is enough
_LOOKS_BACK = 600.0  # what the exporter calls recent

# The trend of the lag looks back 5 minutes, however short the patience: for a minute and a half after a stall it still
# rises. Usually that is too short to be told of, and so it is to be here.
_SETTINGS = """
interval: {interval}s
clusters: [{{name: {name}, url: "{url}"}}]
symptoms:
  patience: {patience}
  overrides:
    watermark_lag_growing: {{warning: {{lasting: 1h}}, critical: {{lasting: 1h}}}}
"""


@dataclass
class Log:
    """When something was first said, by those who say it: /metrics, our alerts, and those of the native rules."""

    symptoms: dict[Told, float] = field(default_factory=dict)
    alerts: dict[Told, float] = field(default_factory=dict)
    native: dict[Told, float] = field(default_factory=dict)
    silenced: set[Told] = field(default_factory=set)  # ours, by others of ours
    active: set[Told] = field(default_factory=set)  # ours at the last look

    def page(self, page: Published, now: float) -> None:
        """Takes down what a page of metrics says."""
        for sample in page.samples:
            if sample.name.startswith("flink_health_") and sample.name.endswith("_symptom"):
                told = Told(_of(sample.labels), sample.labels["symptom"], sample.labels["severity"])
                self.symptoms.setdefault(told, now)

    def alertmanager(self, alerts: list[dict[str, Any]], now: float) -> None:
        """Takes down what Alertmanager says."""
        active = set()
        for alert in alerts:
            labels = alert["labels"]
            told = told_by(labels)
            if "origin" in labels:
                self.native.setdefault(told, now)
                continue
            active.add(told)
            self.alerts.setdefault(told, now)
            if alert["status"]["inhibitedBy"]:
                self.silenced.add(told)
        self.active = active

    def has_all(self, wanted: Set[Told]) -> bool:
        """Whether both have said all of it: they look at different moments, so that either may be the first."""
        return wanted <= self.alerts.keys() and wanted <= self.symptoms.keys()


def told_by(labels: Mapping[str, str]) -> Told:
    """What an alert says, by its labels."""
    what = labels["alertname"] if "origin" in labels else labels.get("symptom", labels["alertname"])
    return Told(_of(labels), what, labels.get("severity", ""))


def _of(labels: Mapping[str, str]) -> str:
    return labels.get("job_name") or labels.get("tm_id") or ""


@dataclass(frozen=True)
class Played:
    """All that is known afterwards. answers: of each query of a dashboard, whether it had data."""

    began: dict[str, float]  # by fault
    ended: dict[str, float]
    log: Log
    notifications: Sequence[Notification]
    answers: dict[Query, bool]
    down: set[str]  # targets that Prometheus could not scrape in the end
    has_native: bool
    exporter_log: str
    seconds: float

    @property
    def ours(self) -> list[Notification]:
        """What was sent by our rules."""
        return [each for each in self.notifications if "origin" not in each.labels]


class _Watching(Background):
    """Looks at the page and at Alertmanager each second."""

    def __init__(self, log: Log, running: Exporter, around: Stack) -> None:
        super().__init__()
        self._log, self._running, self._around = log, running, around

    def work(self) -> None:
        while self.goes_on(1):
            try:
                self._log.page(self._running.page(), time.time())
                self._log.alertmanager(self._around.alerts(), time.time())
            except OSError:
                pass  # the next look is in a second


def play(folder: Path, *, thorough: bool, say: Callable[[str], None] = print) -> Played:
    """Plays it. thorough: waits for all that comes late: what is critical, and the end of what is remembered."""
    start = time.time()
    switches = folder / "switches"
    switches.mkdir()
    cluster = FlinkCluster(
        distribution.find(),
        taskmanagers=_TASKMANAGERS,
        slots=_SLOTS,
        config=IMPATIENT,
        run_dir=folder / "flink",
    )
    log = Log()
    with (
        cluster as flink,
        Gateway(flink, switches) as gateway,
        exporter(folder, _settings(flink.rest_url)) as running,
        stack(folder, running, folder / "exporter.yml", PATIENCE) as around,
        _Watching(log, running, around),
    ):
        around.scrape(flink.reporter_urls)
        scene = Scene(folder, flink, gateway, running)
        stage = _Stage(scene, gateway, around, log, thorough, lambda text: say(f"{_since(start)} {text}"))
        stage.play()
        stage.settle()
        # As if somebody had looked whenever something had just been told, and now.
        answers = answered(around, start, [*stage.ended.values(), time.time()])
        return Played(
            began=stage.began,
            ended=stage.ended,
            log=log,
            notifications=tuple(around.notifications),
            answers=answers,
            down=around.down(),
            has_native=around.has_native,
            exporter_log=running.log.read_text(),
            seconds=time.time() - start,
        )


def _settings(url: str) -> str:
    return _SETTINGS.format(interval=INTERVAL, name=CLUSTER, url=url, patience=PATIENCE)


def _since(start: float) -> str:
    return f"{time.time() - start:5.0f} s"


@dataclass
class _Stage:
    scene: Scene
    gateway: Gateway
    around: Stack
    log: Log
    thorough: bool
    say: Callable[[str], None]
    began: dict[str, float] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)

    def play(self) -> None:
        self._submit()
        self.say("all is well")
        time.sleep(_WELL)
        for fault in OF_JOBS:
            self.began[fault.what] = time.time()
            self.gateway.switch(fault).touch()
        self.say("four jobs fall ill")
        waiting = list(OF_JOBS)
        # Each ends once it has been told of: a long one must not make the others longer.
        self._until(lambda: self._end_those_found(waiting), 300)
        for fault in waiting:
            self._end(fault)
        gone = [fault for fault in OF_JOBS if not (fault.remembered and self.thorough)]
        self._until(lambda: not any(self._is_told(fault) for fault in gone), 90)
        self._kill()
        if self.thorough:
            self.say("waiting for what is remembered to be forgotten")
            self._until(lambda: not self.log.active, _LOOKS_BACK + 90)
        time.sleep(3)  # for the last message

    def _submit(self) -> None:
        self.gateway.submit(HEALTHY.name, HEALTHY.statements(time.time()), HEALTHY.options())
        for fault in OF_JOBS:
            options = {**HEALTHY.options(), **fault.settings}
            # That of the checkpoints calls a function whose switch nobody turns.
            switch = self.gateway.switches / "never" if fault is CHECKPOINTS else self.gateway.switch(fault)
            job_id = self.gateway.run(fault.job, fault.statements(switch), options)
            self.jobs[fault.job] = Job(job_id, fault.job, switch)
        for job in self.jobs.values():
            self.scene.wait_until_running(job)

    def _end_those_found(self, waiting: list[Fault]) -> bool:
        for fault in list(waiting):
            if self.log.has_all(fault.wanted(thorough=self.thorough)):
                self._end(fault)
                waiting.remove(fault)
        return not waiting

    def _end(self, fault: Fault) -> None:
        self.ended[fault.what] = time.time()
        self.gateway.switch(fault).unlink()
        if fault is RESTARTS and not self.thorough:
            # Its restarts are remembered for 10 minutes, unless the job is gone.
            self.scene.cancel(self.jobs[fault.job])
        self.say(f"over: {fault.what}")

    def _kill(self) -> None:
        flink = self.scene.flink
        self.began[KILLED.what] = time.time()
        flink.kill_taskmanager(self.scene.host(self.jobs[CHECKPOINTS.job]))
        self.say("a TaskManager is killed")
        self._until(lambda: self.log.has_all(KILLED.wanted(thorough=self.thorough)), 90)
        flink.start_taskmanager()
        self.ended[KILLED.what] = time.time()
        self.around.scrape(flink.reporter_urls)
        self.say("another one is there")
        for name, job in self.jobs.items():
            if name != RESTARTS.job:
                self.scene.wait_until_running(job)

    def settle(self) -> None:
        """Waits for Prometheus to reach everything: one late scrape on a busy machine is no news."""
        self._until(lambda: not self.around.down(), 60)

    def _is_told(self, fault: Fault) -> bool:
        return any(told.of == fault.job for told in self.log.active)

    def _until(self, there: Callable[[], bool], most: float) -> None:
        """Waits, and leaves it to the tests to complain."""
        deadline = time.time() + most
        while not there() and time.time() < deadline:
            time.sleep(0.5)


def allowed(told: Told) -> bool:
    """Whether one of the faults explains it; one of the cluster may have consequences in every job."""
    return any(
        told in fault.wanted(thorough=True) or (told.what in fault.may and fault.job in ("", told.of)) for fault in ALL
    )
