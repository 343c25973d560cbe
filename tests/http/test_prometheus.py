"""Metrics: JSON, the text of Prometheus, and the dashboard for Grafana that is drawn from it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from tests.http.client import HttpClient, name
from tests.http.conftest import HTTP, OpenHttp
from tests.tcp.fixtures import StartDaemon

ROOT = Path(__file__).parents[2]
SCRAPER = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"


def families(web: HttpClient) -> dict[str, Metric]:
    answer = web.get("/metrics/prometheus")
    assert answer.status == 200 and answer.headers["content-type"].startswith("text/plain")
    found = list(parse_text(answer.body.decode()))
    assert len({family.name for family in found}) == len(found)
    return {family.name: family for family in found}


def value(found: dict[str, Metric], family: str, **labels: str) -> float:
    (sample,) = [sample for sample in found[family].samples if sample.labels == labels]
    return sample.value


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "application/json"),
        ("application/json, text/plain;q=0.5", "application/json"),
        ("text/plain;q=0", "application/json"),
        ("text/plain", "text/plain"),
        ("text/plain;version=0.0.4, application/json;q=0.5", "text/plain"),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text"),
        (SCRAPER, "application/openmetrics-text"),
        ("text/plain;q=nonsense", "application/json"),
    ],
)
def test_metrics_are_json_unless_text_is_preferred(web: HttpClient, accept: str, kind: str) -> None:
    answer = web.get("/metrics", Accept=accept)
    assert answer.headers["content-type"].split(";")[0] == kind
    assert answer.headers["vary"].startswith("Accept")
    if kind == "application/json":
        assert answer.data["total_pushed"] >= 0


def test_counters_and_gauges_are_those_of_the_engine(start_daemon: StartDaemon, open_http: OpenHttp) -> None:
    web = open_http(start_daemon(*HTTP))
    queue = 'a"\\\n/ü'
    path = f"/queues/{name(queue)}"
    web.post(path + "/jobs", {"jobs": [{"data": n, "delay": 0 if n < 3 else 60_000} for n in range(5)]})
    job = web.get(path + "/jobs").data[0]["id"]
    web.post(f"/jobs/{job}/ack")
    web.get(path + "/jobs")
    web.post(path + "/pause")
    found = families(web)
    assert all(family.startswith("mqfast_") for family in found)
    assert (value(found, "mqfast_jobs_pushed"), value(found, "mqfast_jobs_completed")) == (5, 1)
    assert found["mqfast_jobs_pushed"].type == "counter"
    assert [sample.name for sample in found["mqfast_jobs_pushed"].samples] == ["mqfast_jobs_pushed_total"]
    expected = {"ready": 1, "active": 1, "delayed": 2, "blocked": 0, "dead": 0, "completed": 1}
    for state, count in expected.items():
        assert value(found, f"mqfast_queue_{state}_jobs", queue=queue) == count, state
    assert value(found, "mqfast_queue_paused", queue=queue) == 1
    assert value(found, "mqfast_queue_oldest_ready_seconds", queue=queue) >= 0
    assert value(found, "mqfast_job_run_seconds", quantile="0.99") >= 0
    assert value(found, "mqfast_queues") == 1
    assert value(found, "mqfast_memory_resident_bytes") > 1 << 20
    assert value(found, "mqfast_connections") == 0


def test_text_is_openmetrics_too(web: HttpClient) -> None:
    answer = web.get("/metrics/prometheus", Accept="application/openmetrics-text;version=1.0.0")
    found = parse_openmetrics(answer.body.decode())  # type: ignore[no-untyped-call]
    assert {family.name for family in found} == set(families(web))


def test_queues_over_the_cap_are_one_and_nothing_is_lost(daemon_with: StartDaemon, open_http: OpenHttp) -> None:
    web = open_http(daemon_with(*HTTP, "--metrics-queues", "3"))
    for number, queue in enumerate(["a", "b", "c", "d", "e", "other"], 1):
        web.post(f"/queues/{queue}/jobs", {"jobs": [{"data": 1}] * number})
    ready = {sample.labels["queue"]: sample.value for sample in families(web)["mqfast_queue_ready_jobs"].samples}
    assert ready == {"e": 5, "d": 4, "c": 3, "other": 1 + 2 + 6}
    assert value(families(web), "mqfast_queues") == 6


def test_no_queue_has_a_label_where_none_may(daemon_with: StartDaemon, open_http: OpenHttp) -> None:
    web = open_http(daemon_with(*HTTP, "--metrics-queues", "0"))
    web.post("/queues/a/jobs", {"data": 1})
    assert value(families(web), "mqfast_queue_ready_jobs", queue="other") == 1


def test_every_metric_that_the_grafana_dashboard_names_exists(web: HttpClient, queue: str) -> None:
    web.post(f"/queues/{queue}/jobs", {"data": 1})
    board = json.loads((ROOT / "docs/grafana.json").read_text(encoding="utf-8"))
    texts = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    texts += [variable["query"] for variable in board["templating"]["list"] if isinstance(variable["query"], str)]
    named = {word for text in texts for word in re.findall(r"\bmqfast_\w+", text)}
    offered = {sample for family in families(web).values() for sample in _names(family)}
    assert named and named <= offered
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def _names(family: Metric) -> set[str]:
    """Those of its samples; a quantile of nothing has none yet."""
    return {family.name + "_total"} if family.type == "counter" else {family.name}
