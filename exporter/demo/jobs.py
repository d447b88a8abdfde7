"""Which jobs does the demo run, and what is wrong with each?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Template

STALL_AFTER = 60.0  # seconds in which the stalled watermark still advances


@dataclass(frozen=True)
class Job:
    """A SQL job that is ill in one known way, or well."""

    name: str
    wrong: str  # one sentence
    shows: str  # what the exporter says of it
    sql: str  # statements, each ended by a semicolon at the end of a line; the last one starts the job
    checkpoint_every: str = "5s"
    parallelism: int = 2
    settings: Mapping[str, str] = field(default_factory=dict)

    def statements(self, now: float) -> list[str]:
        """The SQL for a start at `now`, in seconds since 1970."""
        text = Template(self.sql).substitute(stalls_at=round((now + STALL_AFTER) * 1000))
        return [one.strip() for one in text.split(";\n") if one.strip()]

    def options(self) -> dict[str, str]:
        """Flink's options for the job."""
        return {
            "parallelism.default": str(self.parallelism),
            "execution.checkpointing.interval": self.checkpoint_every,
            "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
            # Every record crosses the network as it is: no local aggregation first, which would even out the skew.
            "table.optimizer.agg-phase-strategy": "ONE_PHASE",
            **self.settings,
        }


def _keeps_trying(delay: str) -> dict[str, str]:
    """Restart for ever. The first key is read from 1.19 on, the second up to 1.20."""
    return {
        "restart-strategy.type": "fixed-delay",
        "restart-strategy": "fixed-delay",
        "restart-strategy.fixed-delay.attempts": str(2**31 - 1),
        "restart-strategy.fixed-delay.delay": delay,
    }


def _off_the_heap() -> dict[str, str]:
    """State on disk: on the heap it would end the TaskManagers within the hour. The last two keys are of old Flinks."""
    return {
        "state.backend.type": "rocksdb",
        "execution.checkpointing.incremental": "true",
        "state.backend": "rocksdb",
        "state.backend.incremental": "true",
    }


PAYMENTS = Job(
    name="payments-healthy",
    wrong="Nothing: even keys, an advancing watermark, quick checkpoints.",
    shows="no finding",
    sql="""
CREATE TABLE payments (
    account INT,
    cents INT,
    ts AS CURRENT_TIMESTAMP,
    WATERMARK FOR ts AS ts - INTERVAL '1' SECOND
) WITH (
    'connector' = 'datagen', 'rows-per-second' = '400',
    'fields.account.min' = '1', 'fields.account.max' = '1000',
    'fields.cents.min' = '1', 'fields.cents.max' = '100000'
);
CREATE TABLE revenue (account INT, since TIMESTAMP(3), cents INT) WITH ('connector' = 'blackhole');
INSERT INTO revenue
SELECT account, window_start, SUM(cents)
FROM TABLE(TUMBLE(TABLE payments, DESCRIPTOR(ts), INTERVAL '10' SECOND))
GROUP BY account, window_start, window_end;
""",
)

ORDERS = Job(
    name="orders-skewed",
    wrong="Nine orders in ten have the same customer, so one of two subtasks gets 95 % of the records.",
    shows="skew of 1.9 (most over mean) at the aggregation; no watermark, by design",
    sql="""
CREATE TABLE orders (
    r DOUBLE,
    id INT,
    customer AS CASE WHEN r < 0.9 THEN 1 ELSE MOD(id, 1000) END
) WITH (
    'connector' = 'datagen', 'rows-per-second' = '1000',
    'fields.r.min' = '0', 'fields.r.max' = '1',
    'fields.id.min' = '0', 'fields.id.max' = '1000000'
);
CREATE TABLE customers (customer INT, orders BIGINT) WITH ('connector' = 'blackhole');
INSERT INTO customers SELECT customer, COUNT(*) FROM orders GROUP BY customer;
""",
)

CLICKS = Job(
    name="clicks-stalled-watermark",
    wrong="The clock of the mobile clicks stops a minute after the start, and holds back the windows of all clicks.",
    shows="a watermark that stands still while records flow; the mobile source is where it stops",
    sql="""
CREATE TABLE web_clicks (
    page INT,
    ts AS CURRENT_TIMESTAMP,
    WATERMARK FOR ts AS ts - INTERVAL '1' SECOND
) WITH (
    'connector' = 'datagen', 'rows-per-second' = '200',
    'fields.page.min' = '1', 'fields.page.max' = '500'
);
CREATE TABLE mobile_clicks (
    page INT,
    ts AS CASE
        WHEN CURRENT_TIMESTAMP < TO_TIMESTAMP_LTZ($stalls_at, 3) THEN CURRENT_TIMESTAMP
        ELSE TO_TIMESTAMP_LTZ($stalls_at, 3)
    END,
    WATERMARK FOR ts AS ts - INTERVAL '1' SECOND
) WITH (
    'connector' = 'datagen', 'rows-per-second' = '200',
    'fields.page.min' = '1', 'fields.page.max' = '500'
);
CREATE TABLE pages (page INT, since TIMESTAMP(3), clicks BIGINT) WITH ('connector' = 'blackhole');
CREATE TEMPORARY VIEW clicks AS
SELECT page, ts FROM web_clicks UNION ALL SELECT page, ts FROM mobile_clicks;
INSERT INTO pages
SELECT page, window_start, COUNT(*)
FROM TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(ts), INTERVAL '10' SECOND))
GROUP BY page, window_start, window_end;
""",
)

INVOICES = Job(
    name="invoices-restarting",
    wrong="Twice a minute an invoice has an amount that is no number; the job fails, restarts, and meets the next one.",
    shows="restarts without an end, and the exception behind them",
    sql="""
CREATE TABLE invoices (
    supplier INT,
    cents INT,
    amount AS CASE WHEN MOD(UNIX_TIMESTAMP(), 30) = 0 THEN 'n/a' ELSE CAST(cents AS STRING) END
) WITH (
    'connector' = 'datagen', 'rows-per-second' = '100',
    'fields.supplier.min' = '1', 'fields.supplier.max' = '200',
    'fields.cents.min' = '1', 'fields.cents.max' = '100000'
);
CREATE TABLE debts (supplier INT, cents INT) WITH ('connector' = 'blackhole');
INSERT INTO debts SELECT supplier, SUM(CAST(amount AS INT)) FROM invoices GROUP BY supplier;
""",
    settings=_keeps_trying("2s"),
)

ENRICH = Job(
    name="enrich-backpressured",
    wrong="Each visit waits for a slow service, so the step that asks it is always busy and the source is held back.",
    shows="the middle task as the bottleneck, the source as its victim, the last task idle",
    sql="""
CREATE TABLE visits (visitor BIGINT, agent STRING) WITH (
    'connector' = 'datagen', 'rows-per-second' = '1000',
    'fields.visitor.min' = '1', 'fields.visitor.max' = '1000',
    'fields.agent.length' = '200'
);
CREATE TABLE segments (segment BIGINT, visits BIGINT) WITH ('connector' = 'blackhole');
CREATE TEMPORARY FUNCTION look_up AS 'demo.LookUp';
INSERT INTO segments
SELECT MOD(profile, 7), SUM(visits)
FROM (
    SELECT look_up(visitor, 5) AS profile, visits
    FROM (SELECT visitor, COUNT(agent) AS visits FROM visits GROUP BY visitor)
)
GROUP BY MOD(profile, 7);
""",
    parallelism=1,
    # The barriers would wait behind all the records that wait: checkpoints are not what is wrong here.
    settings={"execution.checkpointing.unaligned": "true"},
)

SESSIONS = Job(
    name="sessions-growing-state",
    wrong="Every session is kept for ever: 200 bytes more of state with each, 150 times a second.",
    shows="a checkpoint size that only grows",
    sql="""
CREATE TABLE page_views (session BIGINT, referrer STRING) WITH (
    'connector' = 'datagen', 'rows-per-second' = '150',
    'fields.session.min' = '1', 'fields.session.max' = '1000000000000',
    'fields.referrer.length' = '200'
);
CREATE TABLE sessions (session BIGINT, referrer STRING, pages BIGINT) WITH ('connector' = 'blackhole');
INSERT INTO sessions SELECT session, MAX(referrer), COUNT(*) FROM page_views GROUP BY session;
""",
    checkpoint_every="10s",
    settings=_off_the_heap(),
)

CATALOGUE = (PAYMENTS, ORDERS, CLICKS, INVOICES, ENRICH, SESSIONS)
