"""A dashboard around its panels: identity, variables, rows and links."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from grafana_foundation_sdk.builders.dashboard import (
    AnnotationQuery,
    Dashboard,
    DashboardLink,
    DatasourceVariable,
    QueryVariable,
    Row,
    TextBoxVariable,
)
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from exporter.families import Family
from exporter.signals import cluster, lifecycle, resources
from grafana.bounds import RUNBOOKS
from grafana.panels import DATASOURCE, Panel

# Grafana 10.0's: later ones bring what they read up to date by themselves.
_SCHEMA = 38
_TAG = "flink-health"
# Where the demo, and an exporter without a configuration, is found.
_EXPORTER = "http://localhost:9449"

# The dashboards by uid, as the links at the top of each name them.
FLEET, JOB, TASKMANAGERS, CHECKPOINTS, SOURCES, EXPORTER = (
    f"flink-health-{name}" for name in ("fleet", "job", "taskmanagers", "checkpoints", "sources", "exporter")
)
_NAMES = {
    FLEET: "Fleet",
    JOB: "Job",
    TASKMANAGERS: "TaskManagers",
    CHECKPOINTS: "Checkpoints and state",
    SOURCES: "Sources and event time",
    EXPORTER: "Exporter",
}


@dataclass(frozen=True, slots=True)
class Pick:
    """A variable to pick things by: its name, the label that it lists, and the family that has one for each thing.

    several: whether all, or some of them, may be picked. within: a matcher by a variable that comes before.
    """

    name: str
    title: str
    family: Family
    label: str
    several: bool = True
    within: str = ""

    @property
    def matcher(self) -> str:
        """What the label is compared with."""
        return f'=~"${self.name}"' if self.several else f'="${self.name}"'

    @property
    def builder(self) -> QueryVariable:
        narrowed = f"{{{self.within}}}" if self.within else ""
        variable = QueryVariable(self.name).label(self.title).datasource(DATASOURCE)
        variable.query(f"label_values({self.family.name}{narrowed}, {self.label})")
        variable.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.ALPHABETICAL_ASC)
        if self.several:
            everything = VariableOption(selected=True, text="All", value="$__all")
            variable.multi(True).include_all(True).all_value(".+").current(everything)
        return variable


CLUSTERS = Pick("cluster", "Cluster", cluster.UP, "cluster")
ONE_CLUSTER = Pick("cluster", "Cluster", cluster.UP, "cluster", several=False)
JOBS = Pick("job", "Flink job", lifecycle.STATE, "job_name", within='cluster=~"$cluster"')
ONE_JOB = Pick("job", "Flink job", lifecycle.STATE, "job_name", several=False, within='cluster="$cluster"')
TASKMANAGER = Pick("tm", "TaskManager", resources.HEARTBEAT_AGE, "tm_id", within='cluster=~"$cluster"')


def matchers(*picks: Pick) -> dict[str, str]:
    """How the picked things' series are told from others."""
    return {pick.label: pick.matcher for pick in picks}


def build(
    uid: str,
    description: str,
    picks: Iterable[Pick],
    parts: Mapping[str, Iterable[Panel]],
    annotations: Mapping[str, str] | None = None,
) -> models.Dashboard:
    """A dashboard. parts: panels by the title of their row; those of "" stand above all rows."""
    board = Dashboard(f"Flink health: {_NAMES[uid]}").uid(uid).description(description).tags([_TAG]).readonly()
    board.time("now-1h", "now").refresh("30s").tooltip(DashboardCursorSync.CROSSHAIR)
    board.with_variable(DatasourceVariable("datasource").label("Data source").type("prometheus"))
    for pick in picks:
        board.with_variable(pick.builder)
    board.with_variable(
        TextBoxVariable("exporter_url")
        .label("Exporter's address")
        .description("Where a browser finds the exporter; only for links to its own pages.")
        .default_value(_EXPORTER)
        .current(VariableOption(selected=True, text=_EXPORTER, value=_EXPORTER))
    )
    for name, expr in (annotations or {}).items():
        board.annotation(
            AnnotationQuery().name(name).datasource(DATASOURCE).expr(expr).enable(True).icon_color("orange")
        )
    for other in _NAMES:
        if other != uid:
            board.link(_link(other))
    board.link(
        DashboardLink("Exporter's own page").type(DashboardLinkType.LINK).url("${exporter_url:raw}/").target_blank(True)
    )
    for row, panels in parts.items():
        if row:
            board.with_row(Row(row))
        for panel in panels:
            board.with_panel(panel)
    made = board.build()
    made.schema_version = _SCHEMA
    for number, placed in enumerate(made.panels or (), start=1):
        placed.id_val = number
    return made


def _link(uid: str) -> DashboardLink:
    link = DashboardLink(_NAMES[uid]).type(DashboardLinkType.LINK).keep_time(True)
    # It is about one job of one cluster: what is picked elsewhere may be all of them, which it could not show.
    return (
        link.url(f"/d/{JOB}?var-datasource=${{datasource}}") if uid == JOB else link.url(f"/d/{uid}").include_vars(True)
    )


def job_link() -> str:
    """From a row of a table that has `cluster` and `job_name`: the job's dashboard, at the same time."""
    return (
        f"/d/{JOB}?var-datasource=${{datasource}}&var-cluster=${{__data.fields.cluster:percentencode}}"
        "&var-job=${__data.fields.job_name:percentencode}&${__url_time_range}"
    )


def own_job_link() -> str:
    """From a row of a table that has `cluster` and `job_id`: what the exporter's own page says of the job."""
    return (
        "${exporter_url:raw}/clusters/${__data.fields.cluster:percentencode}/jobs/${__data.fields.job_id:percentencode}"
    )


def taskmanager_link() -> str:
    """From a row of a table that has `cluster` and `tm_id`: the TaskManager's."""
    return (
        f"/d/{TASKMANAGERS}?var-datasource=${{datasource}}&var-cluster=${{__data.fields.cluster:percentencode}}"
        "&var-tm=${__data.fields.tm_id:percentencode}&${__url_time_range}"
    )


def runbook_link() -> dict[str, str]:
    """From a row of a table that has `runbook`: the symptom's page."""
    return {"Runbook": RUNBOOKS.format(name="${__data.fields.runbook}")}
