"""Who may ask: tokens, and pages in browsers."""

from __future__ import annotations

import pytest

from mqfast.commands import COMMANDS
from tests.http.client import Raw
from tests.http.conftest import HTTP, OpenHttp, http_of
from tests.tcp.daemon_process import Daemon
from tests.tcp.fixtures import StartDaemon

TOKENS = ("--auth-tokens", "first,sécond")
PATHS = sorted({(row.http_method, row.http_path) for row in COMMANDS if row.http_path})
PATHS += [("GET", path) for path in ("/events", "/metrics/prometheus", "/openapi.json")]
PATHS += [("GET", f"/dashboard/{part}") for part in ("snapshot", "stream", "history")]


@pytest.fixture
def guarded(daemon_with: StartDaemon) -> Daemon:
    return daemon_with(*HTTP, *TOKENS)


# Tokens


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_nothing_is_done_without_a_token(guarded: Daemon, open_http: OpenHttp, method: str, path: str) -> None:
    web = open_http(guarded)
    where = path.replace("{", "").replace("}", "")
    answer = web.ask(method, where, b'{"data":1,"schedule":"*/5","limit":1}' if method == "POST" else None)
    assert answer.refused(401, "auth_required") == "Authentication required"
    assert answer.headers["www-authenticate"] == 'Bearer realm="mqfast"'
    wrong = web.ask(method, where, Authorization="Bearer wrong")
    assert wrong.refused(401, "auth_failed") == "Invalid token"
    assert 'error="invalid_token"' in wrong.headers["www-authenticate"]


def test_a_refused_push_has_pushed_nothing(guarded: Daemon, open_http: OpenHttp, queue: str) -> None:
    open_http(guarded).post(f"/queues/{queue}/jobs", {"data": 1}).refused(401, "auth_required")
    assert queue not in [row["name"] for row in open_http(guarded, token="first").get("/queues").data]


@pytest.mark.parametrize("header", ["Bearer first", "bearer first", "BEARER  first", "Bearer s\xc3\xa9cond"])
def test_each_token_lets_in(guarded: Daemon, open_http: OpenHttp, header: str) -> None:
    assert open_http(guarded).get("/stats", Authorization=header).data


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic Zmlyc3Q=", "first", "Token first"])
def test_what_is_no_bearer_token_is_none(guarded: Daemon, open_http: OpenHttp, header: str) -> None:
    open_http(guarded).get("/stats", Authorization=header).refused(401, "auth_required")


@pytest.mark.parametrize("header", ["Bearer firs", "Bearer first2", "Bearer first,s\xc3\xa9cond", "Bearer s\xe9cond"])
def test_a_wrong_token_is_refused(guarded: Daemon, open_http: OpenHttp, header: str) -> None:
    open_http(guarded).get("/stats", Authorization=header).refused(401, "auth_failed")


def test_a_token_in_the_query_or_a_cookie_is_none(guarded: Daemon, open_http: OpenHttp) -> None:
    open_http(guarded).get("/stats?token=first", Cookie="token=first").refused(401, "auth_required")


def test_health_and_the_page_need_no_token(guarded: Daemon, open_http: OpenHttp) -> None:
    web = open_http(guarded)
    assert web.get("/health").body == b'{"ok":true}'
    assert web.get("/").status == 200
    assert web.get("/static/nothing.js").status == 404


def test_without_the_dashboard_there_is_no_page(daemon_with: StartDaemon, open_http: OpenHttp) -> None:
    open_http(daemon_with(*HTTP, "--dashboard", "off")).get("/").refused(404, "not_found")
    open_http(daemon_with(*HTTP, *TOKENS, "--dashboard", "off")).get("/").refused(401, "auth_required")


def test_without_tokens_any_is_taken(open_http: OpenHttp) -> None:
    assert open_http(token="whatever").get("/stats").data


def test_asking_for_methods_needs_no_token(guarded: Daemon, open_http: OpenHttp) -> None:
    assert open_http(guarded).ask("OPTIONS", "/queues").status == 200


# Pages


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_pages_of_other_sites_are_refused(open_http: OpenHttp, queue: str, site: str) -> None:
    web = open_http()
    web.post(f"/queues/{queue}/jobs", {"data": 1}, Sec_Fetch_Site=site).refused(403, "invalid")
    web.get(f"/queues/{queue}/jobs", Sec_Fetch_Site=site).refused(403, "invalid")
    assert web.get("/health", Sec_Fetch_Site=site).status == 200
    assert web.get("/", Sec_Fetch_Site=site).status == 200  # a link to the page
    assert queue not in [row["name"] for row in web.get("/queues").data]


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_the_own_page_is_served(open_http: OpenHttp, queue: str, site: str) -> None:
    web = open_http()
    assert web.post(f"/queues/{queue}/jobs", {"data": 1}, Sec_Fetch_Site=site).data


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1", "http://127.0.0.1:1", "x", "http://["]
)
def test_another_origin_is_refused(open_http: OpenHttp, origin: str) -> None:
    answer = open_http().get("/stats", Origin=origin)
    answer.refused(403, "invalid")
    assert "access-control-allow-origin" not in answer.headers


def test_the_own_origin_is_served(server: Daemon, open_http: OpenHttp) -> None:
    host, port = http_of(server)
    assert open_http().get("/stats", Origin=f"http://{host}:{port}").data


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_page_must_say_json_which_it_cannot_without_asking_first(
    server: Daemon, open_http: OpenHttp, queue: str, kind: str
) -> None:
    host, port = http_of(server)
    web = open_http()
    for header in ({"Origin": f"http://{host}:{port}"}, {"Sec_Fetch_Site": "same-origin"}):
        web.post(f"/queues/{queue}/jobs", b'{"data":1}', Content_Type=kind, **header).refused(415, "invalid")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:6790", "127.0.0.1.evil.example", "localhost.evil.example"]
)
def test_a_host_of_somebody_else_is_refused(open_http: OpenHttp, host: str) -> None:
    open_http().get("/stats", Host=host).refused(403, "invalid")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "a.localhost", "127.0.0.1", "[::1]:1", "mqfast:6790"])
def test_a_host_that_nobody_else_can_be_is_served(open_http: OpenHttp, host: str) -> None:
    assert open_http().get("/stats", Host=host).data


def test_further_hosts_can_be_named(daemon_with: StartDaemon, open_http: OpenHttp) -> None:
    web = open_http(daemon_with(*HTTP, "--http-names", "mq.example.org,b.example"))
    assert web.get("/stats", Host="MQ.example.org:443").data
    web.get("/stats", Host="c.example").refused(403, "invalid")


def test_with_tokens_any_host_is_served(guarded: Daemon, open_http: OpenHttp) -> None:
    assert open_http(guarded, token="first").get("/stats", Host="mq.example.org").data


def test_a_request_without_a_host_is_refused(server: Daemon) -> None:
    with Raw(http_of(server)) as raw:
        raw.send(b"GET /stats HTTP/1.1\r\nConnection: close\r\n\r\n")
        assert raw.read_all().startswith(b"HTTP/1.1 400 ")


# CORS


def test_no_page_is_told_that_it_may_unless_it_is_set(open_http: OpenHttp) -> None:
    web = open_http()
    asked = web.ask("OPTIONS", "/stats", Origin="https://a.example", Access_Control_Request_Method="GET")
    assert asked.status == 403
    for answer in (asked, web.get("/stats")):
        assert not [header for header in answer.headers if header.startswith("access-control")]


def test_a_page_of_an_allowed_origin_may(daemon_with: StartDaemon, open_http: OpenHttp, queue: str) -> None:
    web = open_http(
        daemon_with(*HTTP, *TOKENS, "--cors-origin", "https://a.example,http://localhost:3000"), token="first"
    )
    page = {"Origin": "https://a.example", "Sec_Fetch_Site": "cross-site"}
    asked = web.ask("OPTIONS", f"/queues/{queue}/jobs", Access_Control_Request_Method="POST", **page)
    assert asked.status == 200
    assert asked.headers["access-control-allow-origin"] == "https://a.example"
    assert asked.headers["access-control-allow-methods"] == "GET, POST"
    assert "Authorization" in asked.headers["access-control-allow-headers"]
    done = web.post(f"/queues/{queue}/jobs", {"data": 1}, **page)
    assert done.data and done.headers["access-control-allow-origin"] == "https://a.example"
    assert "Origin" in done.headers["vary"]
    refused = web.get("/jobs/1", **page)
    assert refused.status == 404 and refused.headers["access-control-allow-origin"] == "https://a.example"
    web.get("/stats", Origin="https://b.example").refused(403, "invalid")
    web.post(f"/queues/{queue}/jobs", b'{"data":1}', Content_Type="text/plain", **page).refused(415, "invalid")


def test_any_origin_may_where_a_star_is_set(daemon_with: StartDaemon, open_http: OpenHttp) -> None:
    web = open_http(daemon_with(*HTTP, "--cors-origin", "*"))
    answer = web.get("/stats", Origin="https://b.example", Sec_Fetch_Site="cross-site")
    assert answer.data and answer.headers["access-control-allow-origin"] == "https://b.example"
