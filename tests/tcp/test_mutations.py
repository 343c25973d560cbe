"""Random changes to valid lines: one answer each, in order, and the daemon goes on as if nothing had been."""

from __future__ import annotations

import json
import random

import pytest

from tests.tcp.client import Answer, Client, check_refusal, encode
from tests.tcp.fixtures import Connect
from tests.tcp.mutations import is_json_object, mutated, pulling_lines, valid_lines

SEEDS = range(8)
LINES = 1500


def check_answer(line: bytes, answer: Answer) -> None:
    if answer["ok"] is not True:
        check_refusal(answer)
    if not is_json_object(line):
        assert answer.get("code") == "invalid", (line, answer)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_mutated_line_has_one_answer_in_order(client: Client, queue: str, seed: int) -> None:
    lines = [line for line in mutated(valid_lines(queue), LINES, seed) if b"pull" not in line.lower()]
    marked = b"".join(line + b'\n{"cmd":"PING","reqId":"marker %d"}\n' % n for n, line in enumerate(lines))
    sender = client.send_in_background(marked)
    for n, line in enumerate(lines):
        check_answer(line, client.receive())
        assert client.receive() == {"ok": True, "pong": True, "reqId": f"marker {n}"}, line
    sender.join()
    client.push(queue + "-honest", 1)
    assert client.pull(queue + "-honest")["data"] == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_mutated_pulls_are_all_answered_by_the_end_of_the_connection(connect: Connect, queue: str, seed: int) -> None:
    # A mutated pull may wait for ever: the half-close answers it.
    client, honest = connect(), connect()
    lines = list(mutated(valid_lines(queue) + pulling_lines(queue) * 4, LINES, seed))
    sender = client.send_in_background(b"".join(line + b"\n" for line in lines))
    sender.join()
    client.end_input()
    answers = client.receive_to_end()
    assert len(answers) == len(lines)
    assert all(answer["ok"] is True or check_refusal(answer) for answer in answers)
    honest.push(queue + "-honest", 1)
    assert honest.pull(queue + "-honest")["data"] == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_random_bytes_are_answered_line_by_line(client: Client, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(50):
        data = chance.randbytes(chance.randint(0, 3000))
        client.send_bytes(data + b"\n" + encode("PING"))
        for _ in range(data.count(b"\n") + 1):
            check_refusal(client.receive(), "invalid")
        assert client.receive() == {"ok": True, "pong": True}


def test_a_line_cut_at_every_byte_is_refused(client: Client, queue: str) -> None:
    for line in valid_lines(queue):
        cuts = [line[:cut] for cut in range(len(line))]
        client.send_bytes(b"".join(cut + b"\n" for cut in cuts))
        for cut in cuts:
            check_refusal(client.receive(), "invalid")
            assert not is_json_object(cut)
    client.ping()
    assert client.nothing_to_pull(queue)


def test_a_line_with_any_one_byte_changed_is_answered_as_its_json_says(client: Client, queue: str) -> None:
    line = json.dumps({"cmd": "PING", "reqId": "abc", "x": [1, "é", -2.5e1, None, True]}, ensure_ascii=False).encode()
    for at in range(len(line)):
        changed = [line[:at] + bytes([byte]) + line[at + 1 :] for byte in range(256) if byte != 10]
        client.send_bytes(b"".join(one + b"\n" for one in changed))
        for one in changed:
            check_answer(one, answer := client.receive())
            said = json.loads(one) if is_json_object(one) else {}
            if str(said.get("cmd")).upper() == "PING" and isinstance(said.get("reqId", ""), str):
                echo = {"reqId": said["reqId"]} if "reqId" in said else {}
                assert answer == {"ok": True, "pong": True} | echo, one
    client.ping()
