"""What REST adds to the protocol: paths, queries, bodies and the shapes of answers."""

from __future__ import annotations

import gzip
import json

import pytest

from mqfast.commands import COMMANDS
from tests.http.client import HttpClient, name
from tests.tcp.client import Client

NAMES = ["a/b", "100%", "%2F", "a b+c?d#e&f=g", "ä/ö…", "\U0001f600", '"\\', "a\nb", "..", "*", "%25", "+"]


def push(web: HttpClient, queue: str, body: object) -> int:
    return int(web.post(f"/queues/{name(queue)}/jobs", body).data["id"])


# Names and numbers in paths and queries


@pytest.mark.parametrize("text", NAMES)
def test_any_name_can_stand_in_a_path(web: HttpClient, tcp: Client, queue: str, text: str) -> None:
    whole = queue + text
    job = web.post(f"/queues/{name(whole)}/jobs", {"data": 1}).data
    assert job["queue"] == whole
    assert tcp.call("GETJOB", id=job["id"])["job"]["queue"] == whole
    assert [row["name"] for row in web.get("/queues").data].count(whole) == 1
    assert web.get(f"/queues/{name(whole)}/jobs?timeout=0").data[0]["id"] == job["id"]
    assert web.delete(f"/queues/{name(whole)}").data == 1


def test_a_slash_that_is_not_encoded_divides(web: HttpClient, queue: str) -> None:
    web.post(f"/queues/{queue}/x/jobs", {"data": 1}).refused(404, "not_found")


def test_letters_of_a_path_may_be_encoded_too(web: HttpClient) -> None:
    assert set(web.get("/%73tats").data) == {"queued", "processing", "delayed", "dlq", "completed", "waiting"}


@pytest.mark.parametrize("path", ["/queues/%ff/jobs/list?state=waiting", "/queues/%c3%28/dlq", "/%ff"])
def test_a_path_that_is_not_utf8_is_refused(web: HttpClient, path: str) -> None:
    web.get(path).refused(400, "invalid")


def test_a_query_that_is_not_utf8_is_refused(web: HttpClient, queue: str) -> None:
    web.get(f"/queues/{queue}/jobs/list?state=%ff").refused(400, "invalid")


def test_the_path_counts_and_not_the_body(web: HttpClient, queue: str) -> None:
    job = web.post(f"/queues/{queue}/jobs", {"queue": "another", "cmd": "OBLITERATE", "reqId": "r", "data": 1}).data
    assert job["queue"] == queue


@pytest.mark.parametrize("key", ["reqId", "req_id"])
def test_a_request_id_of_the_protocol_means_nothing_here(web: HttpClient, queue: str, key: str) -> None:
    assert web.post(f"/queues/{queue}/pause", {key: "r"}).json == {"ok": True, "data": True}
    assert set(web.post(f"/queues/{queue}/jobs", {"jobs": [], key: "r"}).data) == {"ids", "errors"}
    assert set(web.post(f"/queues/{queue}/jobs", {key: "r"}).json) == {"ok", "error", "code", "retryable"}
    assert "reqId" not in web.get(f"/queues/{queue}/jobs/list?state=waiting&{key}=r").data


@pytest.mark.parametrize(("path", "code"), [("/jobs/abc", "invalid"), ("/jobs/0", "bad_id"), ("/jobs/1.0", "invalid")])
def test_an_id_that_is_none_is_refused(web: HttpClient, path: str, code: str) -> None:
    web.get(path).refused(400, code)


@pytest.mark.parametrize("query", ["limit=x", "limit=", "limit=01", "limit=1e3", "limit=-1", "limit=1%20", "limit=0x1"])
def test_a_query_that_is_no_number_is_refused_by_name(web: HttpClient, queue: str, query: str) -> None:
    assert "limit" in web.get(f"/queues/{queue}/jobs/list?state=waiting&{query}").refused(400, "invalid")


def test_unknown_fields_of_the_query_are_ignored_and_the_last_of_equal_ones_counts(web: HttpClient, queue: str) -> None:
    push(web, queue, {"data": 1})
    push(web, queue, {"data": 2})
    page = web.get(f"/queues/{queue}/jobs/list?state=waiting&x=1&limit=2&limit=1&queue=another&cmd=STATS").data
    assert [job["data"] for job in page["jobs"]] == [1] and page["cursor"]


def test_pages_of_a_list_follow_its_cursor(web: HttpClient, queue: str) -> None:
    ids = [push(web, queue, {"data": n}) for n in range(5)]
    seen, cursor = [], ""
    while cursor is not None:
        page = web.get(f"/queues/{queue}/jobs/list?state=waiting&limit=2" + (cursor and f"&cursor={name(cursor)}")).data
        seen += [job["id"] for job in page["jobs"]]
        cursor = page["cursor"]
    assert seen == ids


# Bodies


PAYLOADS = [
    b'{"n":123456789012345678901234567890.000000000000000000000000000001e400}',
    b'{"a":1,"a":2,"\\u0061":3}',
    b' [ 1 ,2,\t"\\ud800" ] ',
    b'"\\u0000\\"}"',
    b"-0",
    '"\u2028ä\U0001f600"'.encode(),
    b"[" * 200 + b"]" * 200,
    b'{"jobs":[1]}',
    b'"jobs"',
]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_payloads_and_results_come_back_byte_for_byte(web: HttpClient, tcp: Client, queue: str, payload: bytes) -> None:
    pushed = web.post(f"/queues/{queue}/jobs", b'{"data":%s}' % payload)
    assert b'"data":%s,' % payload.strip() in pushed.body
    tcp.send("PULL", queue=queue, timeout=0)
    assert b'"data":%s,' % payload.strip() in tcp.receive_line()
    job_id = pushed.data["id"]
    assert web.post(f"/jobs/{job_id}/ack", b'{"result":%s}' % payload).data is True
    assert web.get(f"/jobs/{job_id}/result").body == b'{"ok":true,"data":%s}' % payload.strip()


def test_line_breaks_between_tokens_are_allowed_and_in_strings_refused(web: HttpClient, queue: str) -> None:
    job = web.post(f"/queues/{queue}/jobs", b'\r\n{\r\n  "data": [1,\n 2],\n  "priority": 5\n}\n').data
    assert (job["data"], job["priority"]) == ([1, 2], 5)
    web.post(f"/queues/{queue}/jobs", b'{"data":"a\nb"}').refused(400, "invalid")
    web.post(f"/queues/{queue}/jobs", b'{"data":"a\rb"}').refused(400, "invalid")


BROKEN = [
    b"",
    b" ",
    b"{",
    b"}",
    b"{}{",
    b"null",
    b"[]",
    b'"a"',
    b"{,}",
    b'{"data":1,}',
    b'{"data":1}}',
    b'{"data":{"x":1}',
    b'{"data":1},{"data":2}',
    b'{"data":1}\x00',
    b'{"data":"}',
    b'{"data":"\\',
    b'{"data":"\\}',
    b'{"data":1 "queue":"x"}',
    b'\xef\xbb\xbf{"data":1}',
    b'{"data":"\xff"}',
    b"{'data':1}",
    b'{"data":01}',
    b'{"data":NaN}',
    b'{"data":1}//',
    b'{"jobs":[1],}',
    b"[" * 300,
    b'{"data":' + b"[" * 300 + b"]" * 300 + b"}",
]


@pytest.mark.parametrize("body", BROKEN)
def test_a_broken_body_is_refused_and_does_nothing(web: HttpClient, tcp: Client, queue: str, body: bytes) -> None:
    web.post(f"/queues/{queue}/jobs", body).refused(400, "invalid")
    assert queue not in [row["name"] for row in tcp.call("LISTQUEUES")["queues"]]


def test_a_name_cannot_break_out_of_its_place(web: HttpClient, tcp: Client, queue: str) -> None:
    hostile = queue + '","cmd":"OBLITERATE","queue":"' + queue
    assert web.post(f"/queues/{name(hostile)}/jobs", {"data": 1}).data["queue"] == hostile
    # An open string before it: quotes of the name must not close what the body has opened.
    web.post(f"/queues/{name(hostile)}/jobs", b'{"data":1,"x":"}').refused(400, "invalid")
    assert tcp.counts(hostile)["pending"] == 1


def test_fields_are_taken_in_both_cases_unknown_ones_ignored_and_the_last_of_equal_ones_counts(
    web: HttpClient, queue: str
) -> None:
    job = web.post(f"/queues/{queue}/jobs", b'{"maxAttempts":3,"max_attempts":4,"x":[{}],"data":1,"data":2}').data
    assert (job["max_attempts"], job["data"]) == (4, 2)


def test_a_body_that_only_speaks_of_jobs_is_no_batch(web: HttpClient, queue: str) -> None:
    payloads: list[object] = [{"jobs": [1]}, "jobs", [{"jobs": []}], '"jobs":']
    for payload in payloads:
        assert web.post(f"/queues/{queue}/jobs", {"priority": 1, "data": payload}).data["data"] == payload


def test_fields_may_stand_in_the_query_of_a_post_and_the_body_counts(web: HttpClient, queue: str) -> None:
    job = web.post(f"/queues/{queue}/jobs?priority=5&maxAttempts=7&delay=60000", {"data": 1, "priority": 6}).data
    assert (job["priority"], job["max_attempts"], job["state"]) == (6, 7, "delayed")


def test_a_body_may_be_absent_where_no_field_is_required(web: HttpClient, queue: str) -> None:
    push(web, queue, {"data": 1})
    (job,) = web.get(f"/queues/{queue}/jobs").data
    for command in ("heartbeat", "fail"):
        assert web.post(f"/jobs/{job['id']}/{command}").data is True
    assert web.post(f"/queues/{queue}/pause").data is True
    assert web.post(f"/queues/{queue}/resume", b"{}").data is True
    assert web.delete(f"/queues/{queue}/rate-limit").data is True
    assert "data" in web.post(f"/queues/{queue}/jobs").refused(400, "invalid")


def test_a_batch_answers_ids_and_errors(web: HttpClient, tcp: Client, queue: str) -> None:
    jobs = [{"data": {"data": 1}}, {"priority": 1}, {"data": 2, "unique_key": "k"}, {"data": 3, "unique_key": "k"}]
    answer = web.post(f"/queues/{queue}/jobs", {"jobs": jobs}).data
    assert [bool(id_) for id_ in answer["ids"]] == [True, False, True, False]
    assert [(error["index"], error["code"]) for error in answer["errors"]] == [(1, "invalid"), (3, "duplicate")]
    assert tcp.counts(queue)["pending"] == 2
    assert web.post(f"/queues/{queue}/jobs", {"jobs": [{"data": 1}]}).data["errors"] == []
    assert web.post(f"/queues/{queue}/jobs", b'{"jobs":[{"data":1%s}]}' % (b"0" * 5000)).data["errors"] == []
    assert web.post(f"/queues/{queue}/jobs", {"x": 1, "jobs": []}).data == {"ids": [], "errors": []}
    web.post(f"/queues/{queue}/jobs", {"jobs": 1}).refused(400, "invalid")


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "Application/JSON", ""])
def test_json_needs_no_content_type_and_may_have_one(web: HttpClient, queue: str, kind: str) -> None:
    assert web.post(f"/queues/{queue}/jobs", b'{"data":1}', Content_Type=kind).data["id"]


def test_what_curl_sends_by_itself_is_taken(web: HttpClient, queue: str) -> None:
    assert web.post(f"/queues/{queue}/jobs", b'{"data":1}', Content_Type="application/x-www-form-urlencoded").data


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x", "application/xml"])
def test_another_content_type_is_refused(web: HttpClient, queue: str, kind: str) -> None:
    web.post(f"/queues/{queue}/jobs", b'{"data":1}', Content_Type=kind).refused(415, "invalid")


# Answers


def test_the_life_of_a_job(web: HttpClient, queue: str) -> None:
    job = web.post(f"/queues/{queue}/jobs", {"data": {"a": 1}, "max_attempts": 1}).data
    assert job["state"] == "waiting" and web.get(f"/jobs/{job['id']}").data == job
    (held,) = web.get(f"/queues/{queue}/jobs?count=5&lease=60000").data
    assert held["id"] == job["id"] and held["token"]
    path = f"/jobs/{job['id']}"
    assert web.post(path + "/progress", {"progress": 140, "message": "page 2"}).data is True
    assert web.get(path + "/progress").data == [100, "page 2"]
    web.post(path + "/ack", {"token": "another"}).refused(409, "lease_lost")
    assert web.post(path + "/fail", {"error": "broken", "token": held["token"]}).data is True
    assert [row["last_error"] for row in web.get(f"/queues/{queue}/dlq").data] == ["broken"]
    assert web.post(f"/queues/{queue}/dlq/retry", {"id": job["id"]}).data == 1
    assert web.get(f"/queues/{queue}/jobs").data[0]["id"] == job["id"]
    assert web.post(path + "/release").data == 1
    assert web.post(path + "/cancel").data is True
    web.get(path).refused(404, "not_found")
    assert web.get(path + "/result").data is None
    web.post(path + "/ack").refused(404, "not_found")


def test_a_job_pulled_over_rest_is_held_by_its_lease_and_not_by_the_connection(
    web: HttpClient, tcp: Client, queue: str
) -> None:
    job_id = push(web, queue, {"data": 1})
    assert web.get(f"/queues/{queue}/jobs").data[0]["id"] == job_id
    web.close()
    assert tcp.call("GETJOB", id=job_id)["state"] == "active"
    assert web.get("/stats").status == 200
    assert tcp.call("GETJOB", id=job_id)["state"] == "active"


def test_a_pull_takes_one_job_unless_it_says_how_many(web: HttpClient, queue: str) -> None:
    ids = [push(web, queue, {"data": n}) for n in range(5)]
    assert [job["id"] for job in web.get(f"/queues/{queue}/jobs").data] == ids[:1]
    assert [job["id"] for job in web.get(f"/queues/{queue}/jobs?count=3").data] == ids[1:4]
    assert web.get(f"/queues/{queue}/jobs?count=0").data == []
    assert [job["id"] for job in web.get(f"/queues/{queue}/jobs?count=9").data] == ids[4:]
    assert web.get(f"/queues/{queue}/jobs?timeout=0").data == []


def test_deleting_a_cron_answers_whether_there_was_one(web: HttpClient, queue: str) -> None:
    cron = {"queue": queue, "data": {"n": 1}, "schedule": "0 0 1 1 *"}
    assert web.post(f"/crons/{queue}%2Fx", cron).data is True
    assert [row["data"] for row in web.get("/crons").data if row["name"] == f"{queue}/x"] == [{"n": 1}]
    assert web.delete(f"/crons/{queue}%2Fx").data is True
    assert web.delete(f"/crons/{queue}%2Fx").data is False
    web.post(f"/crons/{queue}/run").refused(404, "not_found")


def test_statuses_come_from_the_error_table(web: HttpClient, queue: str) -> None:
    path = f"/queues/{queue}/jobs"
    push(web, queue, {"data": 1, "unique_key": "k"})
    web.post(path, {"data": 1, "unique_key": "k"}).refused(409, "duplicate")
    web.post(path, {"data": "x" * (1 << 20)}).refused(413, "payload_too_large")
    web.post(path, {"data": 1, "depends_on": [(1 << 52) + 1]}).refused(404, "not_found")
    web.post(f"/queues/{'x' * 256}/jobs", {"data": 1}).refused(413, "payload_too_large")
    web.post(f"/queues/{queue}/rate-limit", {"limit": 0}).refused(400, "invalid")
    assert web.post(f"/queues/{queue}/concurrency", {"limit": 2}).data is True


# Methods


def test_head_is_get_without_the_body(web: HttpClient) -> None:
    got, head = web.get("/queues"), web.ask("HEAD", "/queues")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == got.headers["content-length"] == str(len(got.body))
    assert web.ask("HEAD", "/health").status == web.ask("HEAD", "/metrics").status == 200
    assert web.ask("HEAD", "/jobs/1").status == 404


def test_head_takes_no_job(web: HttpClient, tcp: Client, queue: str) -> None:
    push(web, queue, {"data": 1})
    head = web.ask("HEAD", f"/queues/{queue}/jobs")
    assert (head.status, head.headers["allow"]) == (405, "GET, POST, OPTIONS")
    assert tcp.counts(queue)["pending"] == 1


def test_options_names_the_methods(web: HttpClient) -> None:
    answer = web.ask("OPTIONS", "/queues/q/jobs")
    assert (answer.status, answer.body, answer.headers["allow"]) == (200, b"", "GET, POST")
    assert web.ask("OPTIONS", "/nowhere").status == 404


@pytest.mark.parametrize("row", [row for row in COMMANDS if row.http_path], ids=lambda row: str(row.name))
def test_methods_that_a_path_does_not_have_are_refused_with_those_it_has(web: HttpClient, row: object) -> None:
    path = str(row.http_path)  # type: ignore[attr-defined]
    methods = {other.http_method for other in COMMANDS if other.http_path == path}
    answer = web.ask("PATCH", path.replace("{", "").replace("}", ""), b"{}")
    answer.refused(405, "not_supported")
    assert methods <= set(answer.headers["allow"].split(", "))


@pytest.mark.parametrize("path", ["/nowhere", "/queues/q", "/queues/q/jobs/", "/jobs", "/queues/q/jobs/x"])
def test_a_path_that_is_none_is_refused(web: HttpClient, path: str) -> None:
    assert web.get(path).status in (404, 405)


# Around the answer


def test_health_is_outside_the_shape(web: HttpClient) -> None:
    answer = web.get("/health")
    assert (answer.status, answer.body) == (200, b'{"ok":true}')


def test_large_answers_are_packed_for_those_who_take_it(web: HttpClient, queue: str) -> None:
    job_id = push(web, queue, {"data": "x" * 10_000})
    plain = web.get(f"/jobs/{job_id}")
    assert "content-encoding" not in plain.headers and plain.headers["vary"] == "Accept-Encoding"
    packed = web.get(f"/jobs/{job_id}", Accept_Encoding="br, gzip;q=0.5")
    assert packed.headers["content-encoding"] == "gzip" and len(packed.body) < 1000
    assert json.loads(gzip.decompress(packed.body)) == plain.json
    for refusing in ("gzip;q=0", "gzip; q=0.0, br", "br", "identity"):
        assert web.get(f"/jobs/{job_id}", Accept_Encoding=refusing).body == plain.body
    assert "content-encoding" not in web.get("/stats", Accept_Encoding="gzip").headers


def test_a_packed_pull_is_held_like_any(web: HttpClient, tcp: Client, queue: str) -> None:
    job_id = push(web, queue, {"data": "x" * 10_000})
    answer = web.get(f"/queues/{queue}/jobs", Accept_Encoding="gzip")
    assert json.loads(gzip.decompress(answer.body))["data"][0]["id"] == job_id
    assert tcp.call("GETJOB", id=job_id)["state"] == "active"


def test_answers_are_not_to_be_kept(web: HttpClient) -> None:
    for path in ("/stats", "/queues/q/jobs?timeout=0", "/nowhere"):
        assert web.get(path).headers["cache-control"] == "no-store"


def test_a_request_id_comes_back_and_is_made_where_there_is_none(web: HttpClient) -> None:
    assert web.get("/stats", X_Request_Id="mine-1").headers["x-request-id"] == "mine-1"
    made = {web.get(path).headers["x-request-id"] for path in ("/stats", "/stats", "/nowhere")}
    assert len(made) == 3
    assert web.get("/stats", X_Request_Id="a b").headers["x-request-id"] not in made | {"a b"}
    assert len(web.get("/stats", X_Request_Id="x" * 200).headers["x-request-id"]) < 100
