"""Do the pages say what is known, and only that, and is whatever somebody called a job or a task nothing but text?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from exporter import __version__
from exporter.publish import pages, pictures, spelling
from exporter.symptoms.base import Severity
from exporter.symptoms.downfall import Downfall
from exporter.symptoms.health import ClusterHealth, JobHealth
from exporter.symptoms.verdict import deductions, score
from tests.publish import told
from tests.publish.told import EVIL, NOW, QUOTES


class Seen(HTMLParser):
    """The tags, attributes and text that a browser would see."""

    def __init__(self, markup: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str | None] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.raw = ""
        self.feed(re.sub(r"(?s)<style>.*?</style>", "", markup.decode()))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag == "a":
            self.links.append(dict(attrs)["href"])

    def handle_data(self, data: str) -> None:
        self.raw += data

    @property
    def text(self) -> str:
        return " ".join(self.raw.split())


def overview(*clusters: ClusterHealth, ready: bool = True, refresh: bool = False) -> Seen:
    return Seen(pages.overview(clusters, ready=ready, now=NOW, refresh=refresh))


def page(job: JobHealth, refresh: bool = False) -> Seen:
    return Seen(pages.job(job, now=NOW, refresh=refresh))


def between(text: str, *parts: str) -> bool:
    """Whether the parts stand in the text in this order."""
    places = [text.find(part) for part in parts]
    return -1 not in places and places == sorted(places)


class TestOverview:
    """The page that a person lands on."""

    def test_it_says_how_all_is_and_then_how_each_cluster_is(self) -> None:
        seen = overview(*told.CLUSTERS)
        for words in (
            __version__,
            "4 of 8 jobs are ill",
            "2 critical",
            "2 warning",
            "1 not known yet",
            "3 well",
            "2 ended",
            "1 cluster does not answer",
            "Flink 2.3.0",
            "4 TaskManagers",
            "3 of 16 slots free",
            "snapshot 7 s ago",
            "TaskManager lost",
            "1 TaskManagers were lost in the last 10 minutes.",
            "for 4 min",
            "no snapshot yet",
            "connection refused; is Flink's REST endpoint there?",
        ):
            assert words in seen.text, words
        for link in (
            "/metrics",
            "/-/healthy",
            "/-/ready",
            "/api/v1/health",
            told.URL,
            "https://stage.example.com/flink",
        ):
            assert link in seen.links

    def test_the_ill_come_first_then_the_unknown_then_the_well_and_the_ended(self) -> None:
        names = (
            "invoices-restarting",
            "orders-enriched",
            "clicks-per",
            "just-started",
            "payments-healthy",
            "old-deploy",
        )
        assert between(overview(told.PROD).text, *names)

    def test_a_job_in_a_line(self) -> None:
        seen = overview(replace(told.PROD, jobs=(told.ILL_LINE,)))
        assert "5/100 orders-enriched-with-customers ▲ critical bottleneck checkpoint slow" in seen.text
        assert f"/clusters/prod/jobs/{told.ILL_LINE.id}" in seen.links

    def test_what_is_not_known_is_a_dash(self) -> None:
        seen = overview(replace(told.PROD, jobs=(told.NEW_LINE,), taskmanagers=None, slots=None, slots_free=None))
        assert "– TaskManagers" in seen.text
        assert "– of – slots free" in seen.text
        assert "– just-started not known yet – INITIALIZING" in seen.text
        assert "None" not in seen.text

    def test_the_gravest_cluster_comes_first(self) -> None:
        well = replace(told.PROD, name="calm", severity=None, findings=(), jobs=(told.WELL_LINE,))
        assert between(overview(well, told.GONE).text, "eu-west.stage", "calm")

    def test_of_hundreds_of_jobs_the_well_are_folded_away(self) -> None:
        seen = overview(told.many(500))
        assert "50 of 500 jobs are ill" in seen.text
        assert ("open", None) not in seen.attributes
        assert seen.tags.count("tr") == 1 + 50
        few = overview(replace(told.PROD, findings=(), jobs=(told.WELL_LINE,)))
        assert ("open", None) in few.attributes

    @pytest.mark.parametrize(
        ("clusters", "words"),
        [
            pytest.param((), "No cluster is configured", id="nothing to look at"),
            pytest.param((told.NEW,), "Waiting for the first look", id="not looked at yet"),
            pytest.param((told.GONE,), "The cluster does not answer", id="one that does not answer"),
            pytest.param((told.GONE, told.NEW), "1 of 2 clusters do not answer", id="one of two"),
            pytest.param((replace(told.PROD, jobs=()),), "No job is running", id="no job"),
            pytest.param((replace(told.PROD, jobs=(told.WELL_LINE,)),), "The job is well", id="one job, and well"),
            pytest.param(
                (replace(told.PROD, jobs=(told.WELL_LINE, told.WIDE_LINE)),), "All 2 jobs are well", id="two well ones"
            ),
            pytest.param(
                (replace(told.PROD, jobs=(told.WELL_LINE, told.NEW_LINE)),),
                "Nothing is known to be wrong",
                id="of one nothing is known, so not all are well",
            ),
            pytest.param((replace(told.PROD, jobs=(told.ILL_LINE,)),), "1 of 1 job is ill", id="one, and ill"),
        ],
    )
    def test_the_headline(self, clusters: tuple[ClusterHealth, ...], words: str) -> None:
        assert f"{words} " in overview(*clusters).text

    def test_before_the_first_cycle_has_finished(self) -> None:
        assert "not ready: the first cycle has not finished" in overview(told.NEW, ready=False).text
        assert "not ready" not in overview(told.NEW).text


class TestJob:
    """The page of a job."""

    def test_it_says_what_is_wrong_and_why_and_what_to_do(self) -> None:
        seen = page(told.ILL)
        for words in (
            "orders-enriched-with-customers",
            "RUNNING",
            "98% of it could be read",
            "The source lag grows because AsyncWaitOperator[32] is the bottleneck: it waits for something outside.",
            "for 47 min · takes 30 of the score",
            "for 3 min, over now and watched",
            "TaskManager 10.42.7.18:6122-a81f3c",
            "Caused by bottleneck.",
            "What to do Which phase is slow?",
            "flink_health_job_checkpoint_duration_seconds – 74 s 12 s –",
            "flink_health_job_checkpoint_duration_ratio – 6.2 – 5",
            "◆ bottleneck: external wait",
            "the last 22 min",
            "watermark lag 116 s",
        ):
            assert words in seen.text, words
        for link in (told.RUNBOOK.format("checkpoint-slow"), told.ILL.web_ui, "#finding-1", "#task-3"):
            assert link in seen.links

    def test_the_score_is_a_sum_that_adds_up(self) -> None:
        words = page(told.ILL).text
        assert "100 − 30 bottleneck − 30 checkpoint slow − 20 source lag growing − 15 GC pressure = 5" in words
        left = score(told.ILL.deductions)
        assert left == told.ILL_LINE.score

    def test_what_brought_it_down_last(self) -> None:
        last = Downfall(at=told.NOW - 180, scenario="out_of_memory", exception="java.lang.Error", task="<b>map</b>")
        words = "Last brought down 3 min ago: out of memory, java.lang.Error in <b>map</b>."
        assert words in page(replace(told.ILL, downfall=last)).text
        assert "Last brought down" not in page(told.ILL).text

    def test_a_job_that_is_well(self) -> None:
        seen = page(told.WELL)
        assert "Nothing is wrong with it, as far as it could be read." in seen.text
        assert "✓ well" in seen.text
        assert "Findings" not in seen.text
        assert "100 −" not in seen.text

    @pytest.mark.parametrize(
        ("state", "words"),
        [("FINISHED", "The job has ended."), ("INITIALIZING", "Nothing is known of it yet.")],
    )
    def test_a_job_of_which_little_is_known(self, state: str, words: str) -> None:
        seen = page(told.job(replace(told.NEW_LINE, state=state), coverage=None))
        assert words in seen.text
        assert "– of it could be read" in seen.text
        assert "None" not in seen.text
        assert "svg" in seen.tags  # the mark, and no picture of nothing
        assert "polyline" not in seen.tags

    def test_every_fragment_that_is_linked_to_is_there_once(self) -> None:
        for job in told.JOBS.values():
            seen = page(job)
            ids = [value for name, value in seen.attributes if name == "id"]
            assert len(ids) == len(set(ids))
            assert {link[1:] for link in seen.links if link and link.startswith("#")} <= {str(each) for each in ids}

    def test_every_task_is_drawn_with_its_shares(self) -> None:
        (graph, _) = (pictures.picture(told.ILL, down=down) for down in (False, True))
        assert [node.task.id for node in graph.nodes] == ["t1", "t2", "t3", "t4", "t5", "t6"]
        third, last = graph.nodes[2], graph.nodes[5]
        assert [(part.kind, round(part.width / (third.box.width - 24), 2)) for part in third.segments] == [
            ("busy", 0.98),
            ("idle", 0.02),
        ]
        assert (third.mark, third.note) == (Severity.CRITICAL, "◆ bottleneck: external wait")
        assert (last.segments, last.caption, last.note) == ((), "not known", "not running")

    def test_shares_of_more_than_all_of_the_time_still_fit_into_their_box(self) -> None:
        job = told.job(told.WELL_LINE, (), [told.task("a", "a", (), (0.9, 0.4, 0.3))])
        (node,) = pictures.picture(job, down=False).nodes
        assert sum(part.width for part in node.segments) == pytest.approx(node.box.width - 24)

    def test_a_line_is_broken_where_nothing_was_known(self) -> None:
        assert [len(spark.lines) for spark in pictures.sparks(told.ILL.trends)] == [1, 1, 1, 1, 2, 1, 1]

    def test_a_share_is_drawn_from_none_to_all_of_it(self) -> None:
        (low, high) = pictures.sparks([told.trend("a", "ratio", [0.1]), told.trend("b", "ratio", [0.9])])
        assert low.dot[1] > high.dot[1] > 4

    def test_deductions_are_cut_where_nothing_is_left(self) -> None:
        """What the page adds up comes from there; here only that a whole score of them is one."""
        assert sum(deductions([]).values()) == 0


class TestMissing:
    def test_it_says_what_is_missing_and_leads_back(self) -> None:
        seen = Seen(pages.missing("there is no cluster <b>", "there is prod"))
        assert "There is no cluster <b> There is prod." in seen.text
        assert "/" in seen.links


def _all() -> Iterator[Seen]:
    for refresh in (False, True):
        yield overview(*told.CLUSTERS, refresh=refresh)
        for job in told.JOBS.values():
            yield page(job, refresh)
    yield Seen(pages.missing("a", "b"))


class TestEvery:
    """What is true of every page."""

    def test_no_script_no_style_of_its_own_and_nothing_from_elsewhere(self) -> None:
        for seen in _all():
            assert not {"script", "iframe", "object", "embed", "form", "img", "b onload"} & set(seen.tags)
            for name, value in seen.attributes:
                assert name != "style"
                assert not name.startswith("on")
                assert name not in ("src", "srcset", "xlink:href")
                if name == "href":
                    assert re.match(r"/(?!/)|#|https?://", value or ""), value

    def test_it_can_be_read_out(self) -> None:
        for seen in _all():
            assert seen.attributes[0] == ("lang", "en")
            assert ("name", "viewport") in seen.attributes
            assert seen.tags.count("h1") == 1
            assert "main" in seen.tags
            assert seen.tags.count("th") == len([name for name, _ in seen.attributes if name == "scope"])

    def test_it_refreshes_only_when_asked_to_and_stays_so(self) -> None:
        job = f"/clusters/prod/jobs/{told.ILL_LINE.id}"
        still, moving = overview(told.PROD), overview(told.PROD, refresh=True)
        assert ("http-equiv", "refresh") not in still.attributes
        assert "/?refresh" in still.links
        assert ("http-equiv", "refresh") in moving.attributes
        assert ("content", "15") in moving.attributes
        assert "/" in moving.links
        assert f"{job}?refresh" in moving.links
        assert ("http-equiv", "refresh") in page(told.ILL, refresh=True).attributes
        assert job in page(told.ILL, refresh=True).links
        assert f"{job}?refresh" in page(told.ILL).links


class TestEscaping:
    """Whatever something is called, it is text."""

    def test_a_job_and_a_task(self) -> None:
        seen = page(told.EVIL_JOB)
        assert "script" not in seen.tags
        assert seen.raw.count(EVIL) >= 6  # the title, the headline, a story, a summary, what to do, a label, a task
        assert QUOTES in seen.raw
        assert "javascript:alert(1)" in seen.raw
        assert not [link for link in seen.links if link and "javascript" in link]
        assert dict.fromkeys(name for name, _ in seen.attributes if name.startswith("on")) == {}
        assert "half a pair ? of surrogates" in seen.raw

    @pytest.mark.parametrize(
        "evil", [EVIL, '"><script>alert(1)</script>', "' onclick='alert(1)", "{{ 7 * 7 }}", "&lt;"]
    )
    def test_a_cluster(self, evil: str) -> None:
        cluster = replace(told.PROD, name=evil, url=evil, state=evil, error=evil, version=evil)
        seen = overview(replace(cluster, jobs=(replace(told.ILL_LINE, name=evil, state=evil, symptoms=(evil,)),)))
        assert "script" not in seen.tags
        assert seen.raw.count(evil) == 8  # the text of the link is its address, where that is no page
        assert not [name for name, _ in seen.attributes if name.startswith("on")]

    def test_the_address_of_a_job_holds_whatever_it_is_called(self) -> None:
        assert pages.job_path(told.EVIL_LINE) == "/clusters/prod/jobs/%22%3E%3Csvg%20onload%3Dalert%281%29%3E%2F..%2Fx"
        assert pages.job_path(replace(told.EVIL_LINE, id="\ud800?#&")) == "/clusters/prod/jobs/%3F%3F%23%26"


# ---- Spelling


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (spelling.number(None), "–"),
        (spelling.number(0), "0"),
        (spelling.number(7.0), "7"),
        (spelling.number(9999.0), "9999"),
        (spelling.number(10_000), "10 k"),
        (spelling.number(1234.5), "1.23 k"),
        (spelling.number(1_834_221), "1.83 M"),
        (spelling.number(2.5e13), "25 T"),
        (spelling.number(0.997), "0.997"),
        (spelling.number(-12.34), "-12.3"),
        (spelling.number(0.00012), "1.2e-04"),
        (spelling.percent(None), "–"),
        (spelling.percent(0.0), "0%"),
        (spelling.percent(0.001), "<1%"),
        (spelling.percent(0.98), "98%"),
        (spelling.points(None), "–"),
        (spelling.points(0.45), "45"),
        (spelling.points(0.055), "5.5"),
        (spelling.length(None), "–"),
        (spelling.length(0.42), "0.42 s"),
        (spelling.length(-3.0), "-3 s"),
        (spelling.length(74.4), "74 s"),
        (spelling.length(599), "599 s"),
        (spelling.length(600), "10 min"),
        (spelling.length(7200), "2 h"),
        (spelling.ago(None, 0.0), "none yet"),
        (spelling.ago(10.0, 9.0), "0 s ago"),  # a clock that was set back
        (spelling.ago(0.0, 119.0), "119 s ago"),
        (spelling.ago(0.0, 120.0), "2 min ago"),
        (spelling.moment(0.0), "1970-01-01 00:00:00 UTC"),
        (spelling.moment(1e300), "1.0e+300"),
        (spelling.measured(None, "x_bytes"), "–"),
        (spelling.measured(734_003_200, "x_bytes"), "700 MiB"),
        (spelling.measured(512, "x_bytes"), "512 B"),
        (spelling.measured(24_902.5, "x_bytes_per_second"), "24.3 KiB/s"),
        (spelling.measured(812.4, "x_per_second"), "812/s"),
        (spelling.measured(74.4, "x_seconds"), "74 s"),
        (spelling.measured(60.0, "x_timestamp_seconds"), "1970-01-01 00:01:00 UTC"),
        (spelling.measured(6.2, "x_ratio"), "6.2"),
        (spelling.counted(0.5, "ratio"), "50%"),
        (spelling.counted(5.0, "per second"), "5/s"),
        (spelling.counted(5.0, "seconds"), "5 s"),
        (spelling.counted(5.0, "records"), "5"),
    ],
)
def test_spelling(text: str, words: str) -> None:
    assert text == words


# ---- Colours


def _colours() -> list[dict[str, str]]:
    light, dark = re.findall(r":root \{(.*?)\}", pages.style(), re.DOTALL)
    first = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", light))
    return [first, first | dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", dark))]


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _contrast(one: str, other: str) -> float:
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_contrast_is_enough_for_tired_eyes(scheme: int) -> None:
    """WCAG AA: 4.5 for text, 3 for what is drawn."""
    colours = _colours()[scheme]
    text = [(ink, ground) for ink in ("ink", "faint", "link") for ground in ("ground", "card")]
    text += [(ink, f"{ink}-ground") for ink in ("well", "warning", "critical", "none")]
    text += [(ink, "critical-ground") for ink in ("ink", "faint")]
    text += [("critical", "card"), ("ink", "none-ground")]
    drawn = [(ink, "card") for ink in ("busy", "backpressured", "edge", "accent", "well", "warning", "critical")]
    assert [pair for pair in text if _contrast(*(colours[each] for each in pair)) < 4.5] == []
    assert [pair for pair in drawn if _contrast(*(colours[each] for each in pair)) < 3] == []
