"""Is the page of a recorded cluster what it was? Its diff is reviewed like code.

Run with UPDATE_GOLDEN=1 to write down what it is now.
"""

from __future__ import annotations

import os
from difflib import unified_diff
from pathlib import Path

import aiohttp

from exporter.derive import derive
from exporter.history import History
from exporter.publish.exposition import Format, Registry, Variant, page, render
from exporter.signals import SIGNALS
from exporter.symptoms import verdict
from exporter.symptoms.declarations import SYMPTOMS
from exporter.symptoms.judgement import Judge
from tests.flink.fake import FakeFlink
from tests.flink.reading import scraper

GOLDEN = Path(__file__).with_name("golden") / "metrics.txt"


async def test_the_page_of_a_recorded_cluster(fake_flink: FakeFlink) -> None:
    history, judge = History(), Judge(SYMPTOMS)
    async with aiohttp.ClientSession() as session:
        reads = scraper(session, fake_flink)
        for number in range(len(fake_flink.looks)):
            fake_flink.now = number
            scrape = await reads.scrape()
            derived = derive(scrape.cluster, SIGNALS, history, fake_flink.clock())
            judgement = judge.judge(scrape.cluster, derived.rows, fake_flink.clock())
    assert (scrape.errors, derived.failures, judgement.failure) == ((), {}, None)
    order = [*(family for signal in SIGNALS for family in signal.families), *verdict.FAMILIES]
    whole = page([render((*derived.rows, *judgement.rows))], Registry(), order)
    text = whole.body(Variant(Format.TEXT, gzip=False)).decode()
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(text)
    difference = "\n".join(
        unified_diff(GOLDEN.read_text().splitlines(), text.splitlines(), "golden", "now", lineterm="")
    )
    assert not difference, f"the page has changed; if that is meant: UPDATE_GOLDEN=1 pytest {__file__}\n{difference}"
