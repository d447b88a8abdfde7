"""Panels: each kind in one shape, with a unit, colours and a description that says where its numbers come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from grafana_foundation_sdk.builders import bargauge, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders import common as options
from grafana_foundation_sdk.builders.dashboard import DashboardLink, FieldColor, ThresholdsConfig
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from exporter.families import Family
from exporter.symptoms.base import Symptom
from grafana import bounds
from grafana.bounds import ORANGE, RED
from grafana.queries import QueryError, Scope, runbook

DATASOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
SEVERITIES: Mapping[str, tuple[str, str]] = {"critical": ("critical", RED), "warning": ("warning", ORANGE)}

Panel = timeseries.Panel | stat.Panel | table.Panel | bargauge.Panel | statetimeline.Panel
P = TypeVar("P", timeseries.Panel, stat.Panel, table.Panel, bargauge.Panel, statetimeline.Panel)


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a panel shows, and how well that is.

    families: where its numbers come from. symptoms: names of those whose thresholds colour it. unit: Grafana's name of
    it. note: what to know when looking at it; by default what the families say of themselves. empty: when it has no
    data, as the end of a sentence; None where it always has.
    """

    title: str
    families: tuple[Family, ...] = ()
    symptoms: tuple[str, ...] = ()
    unit: str = "short"
    note: str = ""
    empty: str | None = None

    @property
    def judged(self) -> list[Symptom]:
        return bounds.chosen(self.symptoms, self.families)

    @property
    def description(self) -> str:
        note = self.note or " ".join(dict.fromkeys(family.help for family in self.families))
        if not note.endswith("."):
            raise QueryError(f"{self.title}: expected a sentence")
        parts = [note]
        if self.empty is not None:
            parts.append(f"Empty when {self.empty}.")
        parts += [bounds.said(symptom) for symptom in self.judged]
        parts += [f"`{family.name}`: {family.formula}." for family in self.families]
        return "\n\n".join(parts)


def lines(
    about: About,
    queries: Mapping[str, str],
    *,
    width: int = 8,
    height: int = 8,
    most: float | None = None,
    signed: bool = False,
    bars: bool = False,
    stacked: bool = False,
) -> timeseries.Panel:
    """Values over time. queries: PromQL by legend. most: the top of the axis. signed: values may be below 0. bars: for
    what is counted by interval."""
    panel = _common(timeseries.Panel(), about, width, height)
    for number, (legend, expr) in enumerate(queries.items()):
        panel.with_target(_query(expr, number).legend_format(legend).range())
    if not signed:
        panel.min(0)
    if most is not None:
        panel.max(most)
    panel.color_scheme(FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC))
    panel.line_width(1).show_points(common.VisibilityMode.NEVER)
    if bars:
        panel.draw_style(common.GraphDrawStyle.BARS).fill_opacity(60)
    elif stacked:
        panel.fill_opacity(40)
    if bars or stacked:
        panel.stacking(options.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
    if about.symptoms:
        panel.thresholds_style(options.GraphThresholdsStyleConfig().mode(common.GraphTresholdsStyleMode.DASHED))
    legend_options = options.VizLegendOptions().show_legend(True).placement(common.LegendPlacement.BOTTOM)
    legend_options.display_mode(common.LegendDisplayMode.TABLE).calcs(["lastNotNull", "max"])
    tooltip = options.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
    return panel.legend(legend_options).tooltip(tooltip)


@dataclass(frozen=True, slots=True)
class Each:
    """What a panel of one family has a series for, such as each task: the labels that tell it from others, its legend.

    The family is named once, for what is said of the panel and for its query.
    """

    scope: Scope
    by: tuple[str, ...]
    legend: str

    def worst(self, family: Family, **where: str) -> str:
        """The query for a gauge, as in `Scope`."""
        return self.scope.worst(family, *self.by, **where)

    def lines(
        self,
        title: str,
        family: Family,
        *symptoms: str,
        empty: str,
        unit: str = "short",
        note: str = "",
        width: int = 8,
        most: float | None = None,
        signed: bool = False,
        **where: str,
    ) -> timeseries.Panel:
        """A gauge over time. What is said of it is as in `About`, what it looks like as in `lines`."""
        about = About(title=title, families=(family,), symptoms=symptoms, unit=unit, note=note, empty=empty)
        return lines(about, {self.legend: self.worst(family, **where)}, width=width, most=most, signed=signed)

    def shares(
        self, title: str, family: Family, *symptoms: str, empty: str, note: str = "", width: int = 8
    ) -> timeseries.Panel:
        """A gauge over time that is a share, at most 1."""
        return self.lines(title, family, *symptoms, empty=empty, unit="percentunit", note=note, width=width, most=1)


def number(
    about: About,
    expr: str,
    *,
    legend: str = "",
    words: Mapping[str, tuple[str, str]] | None = None,
    colours: Sequence[Threshold] | None = None,
    scale: FieldColorModeId | None = None,
    width: int = 4,
    height: int = 4,
) -> stat.Panel:
    """One value, now. legend: the label to show in place of the value, as `{{label}}`. words: what to show for values.
    colours: where no symptom judges it. scale: a gradient from 0 to 1."""
    panel = _common(stat.Panel(), about, width, height)
    panel.with_target(_query(expr, 0).legend_format(legend or "__auto").instant())
    panel.graph_mode(common.BigValueGraphMode.NONE).color_mode(common.BigValueColorMode.VALUE)
    panel.reduce_options(options.ReduceDataOptions().calcs(["lastNotNull"]))
    if legend:
        panel.text_mode(common.BigValueTextMode.NAME)
    if words:
        panel.mappings([_mapped(words)])
    if colours is not None:
        panel.thresholds(ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(list(colours)))
    if scale is not None:
        panel.min(0).max(1).color_scheme(FieldColor().mode(scale))
    return panel


def gauges(about: About, expr: str, legend: str, *, width: int = 8, height: int = 8) -> bargauge.Panel:
    """One bar a series, now."""
    panel = _common(bargauge.Panel(), about, width, height).min(0)
    panel.with_target(_query(expr, 0).legend_format(legend).instant())
    panel.display_mode(common.BarGaugeDisplayMode.BASIC).orientation(common.VizOrientation.HORIZONTAL)
    return panel.reduce_options(options.ReduceDataOptions().calcs(["lastNotNull"]))


def states(
    about: About,
    expr: str,
    legend: str,
    *,
    words: Mapping[str, tuple[str, str]] | None = None,
    scale: FieldColorModeId | None = None,
    width: int = 24,
    height: int = 6,
) -> statetimeline.Panel:
    """One band a series: what it was, and when. words: the text and the colour of each value."""
    panel = _common(statetimeline.Panel(), about, width, height)
    panel.with_target(_query(expr, 0).legend_format(legend).range())
    panel.merge_values(True).fill_opacity(80).line_width(0).row_height(0.8)
    panel.show_value(common.VisibilityMode.AUTO)
    if words:
        panel.mappings([_mapped(words)])
    if scale is not None:
        panel.min(0).max(1).color_scheme(FieldColor().mode(scale))
    legend_options = options.VizLegendOptions().show_legend(False).placement(common.LegendPlacement.BOTTOM)
    return panel.legend(legend_options.display_mode(common.LegendDisplayMode.LIST).calcs([]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table.

    of: a label, or the letter of the query whose value it shows. symptoms: whose thresholds colour it; family: the one
    that they judge. words: the text and the colour of each value. links: by title, the address. hidden: it is there
    for a link only.
    """

    of: str
    title: str = ""
    unit: str = ""
    family: Family | None = None
    symptoms: tuple[str, ...] = ()
    words: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    scale: FieldColorModeId | None = None
    links: Mapping[str, str] = field(default_factory=dict)
    width: int | None = None
    hidden: bool = False

    @property
    def properties(self) -> list[DynamicConfigValue]:
        found: dict[str, object] = {}
        if self.title:
            found["displayName"] = self.title
        if self.unit:
            found["unit"] = self.unit
        if self.symptoms and self.family is not None:
            steps = bounds.steps(bounds.chosen(self.symptoms, (self.family,)))
            found["thresholds"] = {"mode": ThresholdsMode.ABSOLUTE, "steps": steps}
        if self.words:
            found["mappings"] = [_mapped(self.words)]
        if self.scale is not None:
            found |= {"color": {"mode": self.scale}, "min": 0, "max": 1}
        if self.symptoms or self.words or self.scale is not None:
            found["custom.cellOptions"] = {"type": "color-text"}
        if self.links:
            found["links"] = [{"title": title, "url": url} for title, url in self.links.items()]
        if self.width is not None:
            found["custom.width"] = self.width
        if self.hidden:
            found["custom.hidden"] = True
        return [DynamicConfigValue(name, value) for name, value in found.items()]


def rows(
    about: About,
    queries: Sequence[str],
    columns: Sequence[Column],
    *,
    sort: Sequence[tuple[str, bool]] = (),
    width: int = 24,
    height: int = 8,
) -> table.Panel:
    """A table, now. queries: PromQL, lettered from A; rows of the same labels become one. columns: in their order; what
    is not among them is left out. sort: titles, and whether downwards."""
    panel = _common(table.Panel(), about, width, height)
    for index, expr in enumerate(queries):
        panel.with_target(_query(expr, index).format(PromQueryFormat.TABLE).instant())
    names = [_names(column.of, len(queries)) for column in columns]
    order = [name for several in names for name in several]
    panel.with_transformation(DataTransformerConfig("merge", options={}))
    panel.with_transformation(
        DataTransformerConfig(
            "organize",
            options={"excludeByName": {"Time": True}, "indexByName": {name: place for place, name in enumerate(order)}},
        )
    )
    for column, several in zip(columns, names, strict=True):
        for name in several:
            panel.override_by_name(name, column.properties)
    panel.sort_by([options.TableSortByFieldState().display_name(title).desc(down) for title, down in sort])
    return panel.cell_height(common.TableCellHeight.SM)


def symptom_rows(about: About, query: str, columns: Sequence[Column], **shape: int) -> table.Panel:
    """A table of symptoms, those that are critical first, each with its runbook. query: by `symptom` and `severity`."""
    told = [
        Column(of="severity", title="Severity", words=SEVERITIES, width=90),
        Column(
            of="symptom", title="Symptom", links={"Runbook": bounds.RUNBOOKS.format(name="${__data.fields.runbook}")}
        ),
        *columns,
        Column(of="A", hidden=True),
        Column(of="runbook", hidden=True),
    ]
    return rows(about, [runbook(query)], told, sort=(("Severity", False),), **shape)


def _names(of: str, queries: int) -> list[str]:
    # Grafana numbers the values when more than one query has any; the first has if one has.
    if len(of) > 1:
        return [of]
    return ["Value"] * (of == "A") + [f"Value #{of}"] * (queries > 1)


def _mapped(words: Mapping[str, tuple[str, str]]) -> ValueMapping:
    return ValueMap(
        {
            value: ValueMappingResult(text=text, color=colour, index=index)
            for index, (value, (text, colour)) in enumerate(words.items())
        }
    )


def _common(panel: P, about: About, width: int, height: int) -> P:
    panel.title(about.title).description(about.description).unit(about.unit).datasource(DATASOURCE)
    panel.span(width).height(height)
    panel.thresholds(ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(bounds.steps(about.judged)))
    links = [
        DashboardLink(f"Runbook: {symptom.name}")
        .type(DashboardLinkType.LINK)
        .url(bounds.page(symptom))
        .target_blank(True)
        for symptom in about.judged
    ]
    panel.links(list(links))
    return panel


def _query(expr: str, number: int) -> Dataquery:
    return Dataquery().expr(expr).ref_id(chr(ord("A") + number)).datasource(DATASOURCE)
