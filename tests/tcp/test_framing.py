"""Lines as such: how they are split, pipelined, broken off and answered, whatever they say."""

from __future__ import annotations

import json

import pytest

from tests.tcp.client import Client, check_refusal, encode
from tests.tcp.fixtures import Connect, StartDaemon, unique_name

PONG = {"ok": True, "pong": True}


def test_a_line_split_at_any_byte_is_answered_once(connect: Connect, queue: str) -> None:
    line = encode("PUSH", queue=queue, data={"a": [1, "é\\"]}, priority=3, reqId="split")
    other, client = connect(), connect()
    for cut in range(1, len(line)):
        client.send_bytes(line[:cut])
        other.ping()  # time for the daemon to read the first part by itself
        client.send_bytes(line[cut:])
        answer = client.receive()
        assert (answer["ok"], answer["reqId"]) == (True, "split"), (cut, answer)
    client.ping()
    assert client.counts(queue)["pending"] == len(line) - 1


def test_lines_sent_byte_by_byte_are_answered(client: Client, queue: str) -> None:
    for byte in encode("PUSH", queue=queue, data="é") + encode("PULL", queue=queue) + encode("PING"):
        client.send_bytes(bytes([byte]))
    assert client.receive()["ok"] is True
    assert client.receive()["job"]["data"] == "é"
    assert client.receive() == PONG


def test_a_split_may_fall_between_carriage_return_and_newline(connect: Connect) -> None:
    other, client = connect(), connect()
    client.send_bytes(b'{"cmd":"PING"}\r')
    other.ping()
    assert not client.has_answer()
    client.send_bytes(b'\n{"cmd":"PING","reqId":"x"}\r\n')
    assert client.receive() == PONG
    assert client.receive() == PONG | {"reqId": "x"}


def test_every_empty_line_is_answered(client: Client) -> None:
    client.send_bytes(b'\n\r\n\n{"cmd":"PING"}\n\n')
    for _ in range(3):
        check_refusal(client.receive(), "invalid")
    assert client.receive() == PONG
    check_refusal(client.receive(), "invalid")
    client.ping()


def test_pipelined_lines_are_carried_out_and_answered_in_order(client: Client, queue: str) -> None:
    lines = [encode("PUSH", queue=queue, data=n) for n in range(500)]
    lines += [encode("PULL", queue=queue, timeout=0) for _ in range(501)]
    lines.append(b"nonsense\n")
    lines.append(encode("PING"))
    client.send_bytes(b"".join(lines))
    ids = [client.receive()["id"] for _ in range(500)]
    assert ids == sorted(set(ids))
    assert [client.receive()["job"]["data"] for _ in range(500)] == list(range(500))
    assert client.receive() == {"ok": True, "job": None}
    check_refusal(client.receive(), "invalid")
    assert client.receive() == PONG


def test_100_000_commands_in_one_write_are_answered_in_order(client: Client) -> None:
    count = 100_000
    data = b"".join(b'{"cmd":"PING","reqId":"%d"}\n' % n for n in range(count))
    sender = client.send_in_background(data)
    for n in range(count):
        assert client.receive() == {"ok": True, "pong": True, "reqId": str(n)}
    sender.join()
    client.ping()


def test_answers_are_kept_for_a_client_that_reads_late(start_daemon: StartDaemon, queue: str) -> None:
    # Far more answers than MAX_OUTPUT and both socket buffers hold: the daemon stops reading and goes on later.
    with start_daemon("--max-output", "65536").connect() as client:
        data = json.dumps("x" * 5000)
        client.push(queue, 0)
        line = f'{{"cmd":"PUSH","queue":"{queue}","data":{data}}}\n{{"cmd":"PULL","queue":"{queue}","timeout":0}}\n'
        sender = client.send_in_background(line.encode() * 4000)
        sender.join(0.2)  # not a deadline: only lets the answers pile up
        pulled = 0
        for _ in range(4000):
            assert client.receive()["ok"] is True
            pulled += client.receive()["job"] is not None
        sender.join()
        assert pulled == 4000
        client.ping()


@pytest.mark.parametrize("size", [16 << 20, (16 << 20) * 2])
def test_a_line_over_16_mib_is_refused_and_the_next_one_served(client: Client, queue: str, size: int) -> None:
    head = f'{{"cmd":"PUSH","queue":"{queue}","data":"'.encode()
    sender = client.send_in_background(head + b"x" * size + b'"}\n' + encode("PING"))
    check_refusal(client.receive(), "line_too_long")
    assert client.receive() == PONG
    sender.join()
    assert client.nothing_to_pull(queue)


def test_a_long_line_below_the_limit_is_served(client: Client, queue: str) -> None:
    line = f'{{"cmd":"PUSH","queue":"{queue}","data":7{" " * (15 << 20)},"ignored":"{"x" * 500_000}"}}\n'
    sender = client.send_in_background(line.encode())
    assert client.receive()["ok"] is True
    sender.join()
    assert client.pull(queue)["data"] == 7


def test_too_long_and_good_lines_may_alternate(daemon_with: StartDaemon) -> None:
    with daemon_with("--max-line", "65536").connect() as client:
        long_line = b'{"cmd":"PING","x":"' + b"y" * 70_000 + b'"}\n'
        sender = client.send_in_background((long_line + encode("PING")) * 100)
        for _ in range(100):
            check_refusal(client.receive(), "line_too_long")
            assert client.receive() == PONG
        sender.join()


@pytest.mark.parametrize(
    "bad",
    [
        b"\xff",
        b"\xc3",
        b"\xc3(",
        b"\x80",
        b"\xc0\xaf",
        b"\xc1\xbf",
        b"\xe0\x80\xaf",
        b"\xe0\x9f\xbf",
        b"\xf0\x80\x80\xaf",
        b"\xf0\x8f\xbf\xbf",
        b"\xed\xa0\x80",
        b"\xed\xbf\xbf",
        b"\xf4\x90\x80\x80",
        b"\xf5\x80\x80\x80",
        b"\xf8\x88\x80\x80\x80",
        b"\xe2\x82",
        b"\xf0\x9f\x98",
    ],
)
def test_invalid_utf_8_is_refused_wherever_it_stands(client: Client, queue: str, bad: bytes) -> None:
    name = queue.encode()
    for line in (
        b'{"cmd":"PUSH","queue":"%b","data":"a%bb"}' % (name, bad),
        b'{"cmd":"PUSH","queue":"%b","data":{"%b":1}}' % (name, bad),
        b'{"cmd":"PUSH","queue":"%b%b","data":1}' % (name, bad),
        b'{"cmd":"PUSH","queue":"%b","data":1,"unique_key":"%b"}' % (name, bad),
        b'{"cmd":"PUSH","queue":"%b","data":1,"ignored":"%b"}' % (name, bad),
        b'{"cmd":"PUSH","queue":"%b","data":1,"%b":1}' % (name, bad),
        b'{"cmd":"PUSH","queue":"%b","data":%b}' % (name, bad),
        b'{"cmd":"PUSH","queue":"%b","data":1}%b' % (name, bad),
        b'{"cmd":"PUSHB","queue":"%b","jobs":[{"data":1},{"data":"%b"}]}' % (name, bad),
        bad,
    ):
        check_refusal(client.call_line(line), "invalid")
    assert client.nothing_to_pull(queue)


def test_valid_utf_8_is_kept_at_every_length(client: Client, queue: str) -> None:
    text = "\x7f\x80\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff"
    line = '{"cmd":"PUSH","queue":"%s","data":"%s"}' % (queue, text)
    assert client.call_line(line)["ok"] is True
    assert client.pull(queue)["data"] == text


def test_data_may_be_nested_127_deep(client: Client, queue: str) -> None:
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        text = opening * 126 + "[]" + closing * 126
        assert client.call_line(f'{{"cmd":"PUSH","queue":"{queue}","data":{text}}}')["ok"] is True
        client.send("PULL", queue=queue, timeout=0)
        assert f'"data":{text}'.encode() in client.receive_line()


@pytest.mark.parametrize("depth", [200, 1_000, 100_000, 500_000])
@pytest.mark.parametrize("template", ['{"cmd":"PUSH","queue":"%s","data":%s}', '{"cmd":"PING","q":"%s","x":%s}'])
def test_deeper_nesting_is_kept_or_refused_but_never_harms(
    client: Client, queue: str, depth: int, template: str
) -> None:
    sender = client.send_in_background((template % (queue, "[" * depth + "]" * depth)).encode() + b"\n")
    answer = client.receive()
    sender.join()
    if answer["ok"] is not True:
        check_refusal(answer, "invalid")
    client.ping()


@pytest.mark.parametrize("opening", ["[", '{"a":', "[{"])
def test_nesting_that_never_closes_is_refused(client: Client, queue: str, opening: str) -> None:
    sender = client.send_in_background(f'{{"cmd":"PUSH","queue":"{queue}","data":{opening * 200_000}\n'.encode())
    check_refusal(client.receive(), "invalid")
    sender.join()
    assert client.nothing_to_pull(queue)


# Parked requests and reqId


def test_a_parked_pull_without_reqid_holds_back_every_later_answer(connect: Connect, queue: str) -> None:
    other, client = connect(), connect()
    client.send("PULL", queue=queue)
    client.send("PING", reqId="later")
    client.send("PULL", queue=unique_name(), timeout=0)
    other.ping()
    assert not client.has_answer(0.05)
    other.push(queue, "job")
    assert client.receive()["job"]["data"] == "job"
    assert client.receive() == PONG | {"reqId": "later"}
    assert client.receive() == {"ok": True, "job": None}


def test_a_parked_pull_with_reqid_holds_back_nothing(connect: Connect, queue: str) -> None:
    other, client = connect(), connect()
    client.send("PULL", queue=queue, reqId="parked")
    client.ping()
    client.send("PULL", queue=queue, reqId="second")
    assert client.call("PING", reqId="p") == PONG | {"reqId": "p"}
    other.push(queue, 1)
    first = client.receive()
    assert (first["reqId"], first["job"]["data"]) == ("parked", 1)
    other.push(queue, 2)
    second = client.receive()
    assert (second["reqId"], second["job"]["data"]) == ("second", 2)


def test_a_parked_pull_may_be_served_by_its_own_connection(client: Client, queue: str) -> None:
    client.send("PULL", queue=queue, reqId="pull")
    client.send("PUSH", queue=queue, data=5, reqId="push")
    answers = {answer["reqId"]: answer for answer in (client.receive(), client.receive())}
    assert answers["push"]["ok"] is True
    assert answers["pull"]["job"]["data"] == 5


def test_many_pulls_park_on_one_connection_and_each_is_answered_once(connect: Connect, queue: str) -> None:
    other, client = connect(), connect()
    client.send_bytes(b"".join(encode("PULL", queue=queue, reqId=str(n)) for n in range(1000)))
    client.ping()
    answer = other.ok("PUSHB", queue=queue, jobs=[{"data": n} for n in range(1000)])
    assert len(answer["ids"]) == 1000
    got = {}
    for _ in range(1000):
        parked = client.receive()
        got[int(parked["reqId"])] = parked["job"]["data"]
    assert got == {n: n for n in range(1000)}, "parked pulls are served in order of arrival"
    client.ping()


def test_a_timeout_is_answered_with_its_reqid(client: Client, queue: str) -> None:
    client.send("PULL", queue=queue, timeout=30, reqId="t1")
    client.send("PULLB", queue=queue, count=2, timeout=20, reqId="t2")
    answers = {answer["reqId"]: answer for answer in (client.receive(), client.receive())}
    assert answers["t1"] == {"ok": True, "job": None, "reqId": "t1"}
    assert answers["t2"] == {"ok": True, "jobs": [], "reqId": "t2"}


def test_the_same_reqid_may_be_used_twice(connect: Connect, queue: str) -> None:
    other, client = connect(), connect()
    client.park(queue, "same")
    client.park(queue, "same")
    other.ok("PUSHB", queue=queue, jobs=[{"data": 1}, {"data": 2}])
    assert [client.receive()["job"]["data"] for _ in range(2)] == [1, 2]


# Half-close


def test_after_a_half_close_every_complete_line_is_answered(client: Client, queue: str) -> None:
    client.send_bytes(encode("PUSH", queue=queue, data=1) * 1000 + b"nonsense\n" + encode("PING"))
    client.end_input()
    answers = client.receive_to_end()
    assert len(answers) == 1002
    assert all(answer["ok"] for answer in answers[:1000])
    check_refusal(answers[1000], "invalid")
    assert answers[1001] == PONG


def test_an_unfinished_line_at_a_half_close_is_not_carried_out(connect: Connect, queue: str) -> None:
    client = connect()
    client.send_bytes(encode("PING") + encode("PUSH", queue=queue, data=1)[:-1])
    client.end_input()
    pong, *rest = client.receive_to_end()
    assert pong == PONG
    for answer in rest[:1]:
        check_refusal(answer, "invalid")  # allowed: it tells what became of the bytes
    assert rest[1:] == []
    assert connect().nothing_to_pull(queue)


@pytest.mark.parametrize("cmd", ["PULL", "PULLB"])
def test_a_half_close_answers_parked_pulls_at_once_and_the_rest_behind_them(
    client: Client, queue: str, cmd: str
) -> None:
    count = {"count": 5} if cmd == "PULLB" else {}
    empty: dict[str, object] = {"ok": True, "jobs": []} if cmd == "PULLB" else {"ok": True, "job": None}
    client.send(cmd, queue=queue, reqId="r", **count)
    client.ping()
    client.send(cmd, queue=queue, **count)
    client.send("PING")
    client.send(cmd, queue=queue, timeout=3_600_000, **count)
    client.end_input()
    answers = client.receive_to_end()
    assert answers.index(empty | {"reqId": "r"}) >= 0
    assert [answer for answer in answers if "reqId" not in answer] == [empty, PONG, empty]


def test_a_half_closed_client_still_gets_large_answers(connect: Connect, queue: str) -> None:
    text = "x" * 100_000
    other, client = connect(), connect()
    for _ in range(40):
        other.push(queue, text)
    client.send_bytes(encode("PULL", queue=queue, timeout=0) * 41)
    client.end_input()
    answers = client.receive_to_end()
    assert [answer["job"] is not None for answer in answers] == [True] * 40 + [False]
    assert all(answer["job"]["data"] == text for answer in answers[:40])


def test_a_client_that_sends_nothing_and_half_closes_gets_an_end(client: Client) -> None:
    client.end_input()
    assert client.receive_to_end() == []


def test_lines_that_begin_alike_are_read_each_by_itself(client: Client, queue: str) -> None:
    """The daemon may remember how lines begin; what follows decides all the same."""
    other = queue + "-other"
    lines = [
        f'{{"cmd":"PUSH","queue":"{queue}","data":1}}',
        f'{{"cmd":"PUSH","queue":"{queue}","data": 2 }}',
        f'{{"cmd":"PUSH","queue":"{queue}","data":\t[3]}}',
        f'{{"cmd":"PUSH","queue":"{queue}","data":4,"queue":"{other}"}}',
        f'{{"cmd":"PUSH","queue":"{queue}","data":5,"cmd":"PING"}}',
        f'{{"cmd":"PUSH","queue":"{queue}","data":}}',
        f'{{"cmd":"PUSH","queue":"{queue}","data":6',
        f'{{"cmd":"PUSH","queue":"{queue}","data":7}}',
        f'{{"cmd":"PUSH","queue":"{queue}","data":8,"cmd":7}}',
        f'{{"cmd":"PUSX","queue":"{queue}","data":9}}',
        f'{{"cmd":"PUSX","queue":"{queue}","data":10}}',
        f'{{"cmd":"PUSH","queue":"{queue}","data":11}}',
    ]
    client.send_bytes("\n".join(lines).encode() + b"\n")
    answers = [client.receive() for _ in lines]
    assert [answer.get("code", "pong" if "pong" in answer else "ok") for answer in answers] == [
        *["ok"] * 4, "pong", "invalid", "invalid", "ok", "invalid", "unknown_command", "unknown_command", "ok"
    ]  # fmt: skip
    jobs = client.ok("PULLB", queue=queue, count=20, timeout=0)["jobs"]
    assert [job["data"] for job in jobs] == [1, 2, [3], 7, 11]
    assert client.ok("PULL", queue=other, timeout=0)["job"]["data"] == 4
