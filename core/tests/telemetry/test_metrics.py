from __future__ import annotations

import re

import pytest
from crossdock.metrics import Counter, Gauge, Histogram, Readings, Registry, RuntimeMetrics

_SAMPLE = re.compile(r'([a-zA-Z_:][\w:]*)(?:\{((?:[a-zA-Z_]\w*="(?:\\[\\"n]|[^\\"\n])*",?)*)\})? (\S+)')
_PAIR = re.compile(r'(\w+)="((?:\\[\\"n]|[^\\"\n])*)"')
_UNESCAPE = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


def parse(page: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """A strict reader of the text format: each metric has HELP and TYPE first, each line is a sample."""
    assert page.endswith("\n")
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    kinds: dict[str, str] = {}
    helped = current = ""
    for line in page.splitlines():
        if line.startswith("# HELP "):
            helped = line.split(" ", 3)[2]
        elif line.startswith("# TYPE "):
            _, _, current, kind = line.split(" ")
            assert current == helped
            assert current not in kinds
            kinds[current] = kind
        else:
            match = _SAMPLE.fullmatch(line)
            assert match, line
            name, labels, value = match.groups()
            ends = ("", "_bucket", "_sum", "_count") if kinds[current] == "histogram" else ("",)
            assert name in {current + end for end in ends}
            pairs = {(k, re.sub(r"\\.", lambda m: _UNESCAPE[m[0]], v)) for k, v in _PAIR.findall(labels or "")}
            key = (name, frozenset(pairs))
            assert key not in found
            found[key] = float(value)
    return found


def at(page: str, name: str, **labels: str) -> float:
    return parse(page)[name, frozenset(labels.items())]


async def test_counters_add_up_by_label() -> None:
    metrics = RuntimeMetrics("1.2.3")
    metrics.runs.add("deal-to-invoice", "succeeded")
    metrics.runs.add("deal-to-invoice", "succeeded")
    metrics.runs.add("deal-to-invoice", "dead", amount=3)
    metrics.retries.add("deal-to-invoice", "invoice")
    metrics.webhooks.add("crm", "refused_401")
    metrics.events.add("crm", "poll", "duplicate")
    metrics.alerts.add("alerts", "delivered")
    metrics.steps.observe(0.2, "apply", "books", "done")
    page = await metrics.registry.render()
    assert at(page, "crossdock_step_retries_total", flow="deal-to-invoice", leg="invoice") == 1
    assert at(page, "crossdock_webhooks_total", connection="crm", outcome="refused_401") == 1
    assert at(page, "crossdock_events_total", connection="crm", via="poll", outcome="duplicate") == 1
    assert at(page, "crossdock_alerts_total", notifier="alerts", outcome="delivered") == 1
    assert at(page, "crossdock_step_duration_seconds_count", kind="apply", connection="books", outcome="done") == 1
    assert at(page, "crossdock_runs_total", flow="deal-to-invoice", ending="succeeded") == 2
    assert at(page, "crossdock_runs_total", flow="deal-to-invoice", ending="dead") == 3
    assert at(page, "crossdock_build_info", version="1.2.3") == 1


async def test_a_histogram_is_cumulative_and_bounds_are_inclusive() -> None:
    registry = Registry()
    seconds = registry.add(Histogram("s_seconds", "h", ["kind"], buckets=(0.1, 1, 10)))
    for value in (0.05, 0.1, 0.5, 10, 99):
        seconds.observe(value, "apply")
    page = await registry.render()
    counts = [at(page, "s_seconds_bucket", kind="apply", le=le) for le in ("0.1", "1", "10", "+Inf")]
    assert counts == [2, 3, 4, 5]
    assert at(page, "s_seconds_count", kind="apply") == 5
    assert at(page, "s_seconds_sum", kind="apply") == pytest.approx(109.65)


@pytest.mark.parametrize("value", ['a"b', "a\\b", "a\nb", "\\n", "é,}", ""])
async def test_label_values_come_back_as_they_went_in(value: str) -> None:
    registry = Registry()
    registry.add(Counter("c_total", "help with \\ and\nnewline", ["l"])).add(value)
    assert at(await registry.render(), "c_total", l=value) == 1


async def test_gauges_are_read_when_the_page_is_fetched() -> None:
    depth: dict[tuple[str, ...], float] = {("f", "queued"): 2}

    async def read_depth() -> Readings:
        return depth

    registry = Registry()
    registry.add(Gauge("g", "h", ["flow", "status"], read=read_depth))
    assert at(await registry.render(), "g", flow="f", status="queued") == 2
    depth["f", "queued"] = 7
    assert at(await registry.render(), "g", flow="f", status="queued") == 7


async def test_an_ending_that_is_expected_is_shown_before_it_comes() -> None:
    counter = Registry().add(Counter("c_total", "h", ["flow", "ending"]))
    counter.expect("f", "dead")
    assert [(point.values, point.value) for point in (await counter.collect()).points] == [(("f", "dead"), 0)]
    counter.add("f", "dead")
    counter.expect("f", "dead")
    assert [point.value for point in (await counter.collect()).points] == [1]
    with pytest.raises(ValueError, match="labels"):
        counter.expect("f")


@pytest.mark.parametrize(
    ("name", "otel", "unit"),
    [
        ("crossdock_oldest_due_run_age_seconds", "crossdock.oldest_due_run_age", "s"),
        ("crossdock_database_size_bytes", "crossdock.database_size", "By"),
        ("crossdock_last_poll_timestamp_seconds", "crossdock.last_poll_timestamp", "s"),
        ("crossdock_ready", "crossdock.ready", "1"),
    ],
)
def test_a_name_for_opentelemetry_has_a_dot_and_no_unit(name: str, otel: str, unit: str) -> None:
    async def nothing() -> Readings:
        return {}

    gauge = Gauge(name, "h", read=nothing)
    assert (gauge.otel, gauge.unit) == (otel, unit)
    assert Gauge(name, "h", read=nothing, otel="").otel is None
    assert Counter("crossdock_runs_total", "h").otel == "crossdock.runs"


async def test_a_gauge_that_cannot_be_read_hides_no_other_and_is_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    registry = Registry()

    async def broken() -> Readings:
        raise OSError("disk")

    registry.add(Gauge("bad", "h", read=broken))
    registry.add(Counter("good_total", "h")).add()
    page = await registry.render()
    assert at(page, "good_total") == 1
    assert at(page, "crossdock_scrape_failures_total", metric="bad") == 1
    assert ("bad", frozenset()) not in parse(page)
    assert "metric bad cannot be read: disk" in caplog.text


@pytest.mark.parametrize(
    ("value", "text"), [(3.0, "3"), (0.25, "0.25"), (1e300, "1e+300"), (float("inf"), "+Inf"), (-1, "-1")]
)
async def test_numbers_are_written_exactly(value: float, text: str) -> None:
    async def read() -> Readings:
        return {(): value}

    registry = Registry()
    registry.add(Gauge("g", "h", read=read))
    assert f"\ng {text}\n" in await registry.render()


def test_mistakes_in_metrics_are_refused_at_once() -> None:
    registry = Registry()
    counter = registry.add(Counter("c_total", "h", ["flow"]))
    with pytest.raises(ValueError, match="already a metric"):
        registry.add(Counter("c_total", "h"))
    with pytest.raises(ValueError, match="labels"):
        counter.add()
    with pytest.raises(ValueError, match="cannot fall"):
        counter.add("f", amount=-1)
    with pytest.raises(ValueError, match="cannot fall"):
        counter.add("f", amount=float("nan"))
    with pytest.raises(ValueError, match="ends in _total"):
        Counter("c", "h")
    with pytest.raises(ValueError, match="bad metric"):
        Counter("bad-name_total", "h")
    with pytest.raises(ValueError, match="bad metric"):
        Histogram("h", "h", ["le"])
    with pytest.raises(ValueError, match="must rise"):
        Histogram("h", "h", buckets=(1, 1))
