"""Strict JSON in, the same bytes out: JSONTestSuite and numbers that a careless daemon would change.

Each file of the suite is sent as the data of a job. Its text stands in a command then, so it must not become valid (or
invalid) by that: none of the n_ files closes or continues the object around it in a way that makes the whole line JSON,
which `test_embedding_keeps_validity` checks with Python's parser. A final newline is left out, since it would end the
line; newlines within are sent as carriage returns, which JSON treats alike. So no file is skipped.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.tcp.client import Client, check_refusal
from tests.tcp.mutations import is_json_object

FOLDER = Path(__file__).parents[1] / "data" / "JSONTestSuite" / "test_parsing"
FILES = {path.stem: path.read_bytes() for path in sorted(FOLDER.glob("*.json"))}
WHITE = b" \t\r\n"


def text_of(name: str) -> bytes:
    return FILES[name].removesuffix(b"\n").replace(b"\n", b"\r")


def named(prefix: str) -> list[str]:
    return [name for name in FILES if name.startswith(prefix)]


def embeddings(queue: str, text: bytes) -> list[bytes]:
    """The text as data of a push, of a batch's item, as a result, and in a field that is ignored."""
    name = queue.encode()
    return [
        b'{"cmd":"PUSH","queue":"%b","data":%b}' % (name, text),
        b'{"data":%b,"cmd":"PUSH","queue":"%b"}' % (text, name),
        b'{"cmd":"PUSHB","queue":"%b","jobs":[{"data":1},{"data":%b}]}' % (name, text),
        b'{"cmd":"ACK","id":1,"result":%b}' % text,
        b'{"cmd":"PING","ignored":%b}' % text,
    ]


def send_line(client: Client, line: bytes) -> dict[str, object]:
    sender = client.send_in_background(line + b"\n")
    answer = client.receive()
    sender.join()
    return answer


def pulled_data(client: Client, queue: str) -> bytes:
    """The bytes of the next job's data, as they stand in the answer."""
    client.send("PULL", queue=queue, timeout=0)
    line = client.receive_line()
    assert line.count(b'"data":') == 1
    text = line.split(b'"data":')[1].lstrip(WHITE).decode()
    _, end = json.JSONDecoder(parse_int=str, parse_float=str).raw_decode(text)
    return text[:end].encode()


def kept(client: Client, queue: str, text: bytes) -> bytes:
    """Push the text and pull it again."""
    answer = send_line(client, b'{"cmd":"PUSH","queue":"%b","data":%b}' % (queue.encode(), text))
    assert answer["ok"] is True, (text, answer)
    return pulled_data(client, queue)


def test_the_suite_is_complete() -> None:
    assert (len(named("n_")), len(named("y_")), len(named("i_"))) == (188, 95, 35)


@pytest.mark.parametrize("name", named("n_") + named("y_"))
def test_embedding_keeps_validity(name: str) -> None:
    for line in embeddings("q", text_of(name)):
        assert is_json_object(line) is name.startswith("y_")


@pytest.mark.parametrize("name", named("n_"))
def test_what_is_not_json_is_refused_everywhere(client: Client, queue: str, name: str) -> None:
    for line in embeddings(queue, text_of(name)):
        check_refusal(send_line(client, line), "invalid")
    assert client.nothing_to_pull(queue)


@pytest.mark.parametrize("name", named("n_"))
def test_what_is_not_json_is_refused_as_a_line(client: Client, name: str) -> None:
    check_refusal(send_line(client, text_of(name)), "invalid")
    client.ping()


@pytest.mark.parametrize("name", named("y_"))
def test_what_is_json_comes_back_byte_for_byte(client: Client, queue: str, name: str) -> None:
    text = text_of(name)
    assert kept(client, queue, text) == text.strip(WHITE)
    client.ok("PUSHB", queue=queue, jobs=[])
    answer = send_line(client, b'{"cmd":"PUSHB","queue":"%b","jobs":[{"data":%b}]}' % (queue.encode(), text))
    assert answer["ok"] is True
    assert pulled_data(client, queue) == text.strip(WHITE)
    assert send_line(client, b'{"cmd":"PING","ignored":%b}' % text) == {"ok": True, "pong": True}


@pytest.mark.parametrize("name", named("i_"))
def test_what_is_left_to_the_parser_is_kept_if_its_bytes_are_sound(client: Client, queue: str, name: str) -> None:
    # RFC 8259 grammar and valid UTF-8 decide: numbers of any size and escaped lone surrogates are kept as written;
    # invalid UTF-8, UTF-16 and a byte order mark are refused. Depth 500 is the daemon's choice.
    text = text_of(name)
    line = b'{"cmd":"PUSH","queue":"%b","data":%b}' % (queue.encode(), text)
    if not is_json_object(line):
        check_refusal(send_line(client, line), "invalid")
    elif name == "i_structure_500_nested_arrays" and send_line(client, line)["ok"] is not True:
        client.ping()
    else:
        assert kept(client, queue, text) == text


@pytest.mark.parametrize(
    "number",
    [
        "0",
        "-0",
        "-0.0",
        "1.0",
        "1.10",
        "1E5",
        "1e+05",
        "1e-0",
        "0.1e1",
        "1e400",
        "-1e-400",
        "9007199254740993",
        "18446744073709551616",
        "123456789012345678901234567890",
        "-123456789012345678901234567890.12345678901234567890e-1234567890",
        "0." + "3" * 5000,
        "9" * 50_000,
    ],
)
def test_numbers_keep_every_digit(client: Client, queue: str, number: str) -> None:
    for text in (number, f"[{number}]", f'{{"n":{number}}}'):
        assert kept(client, queue, text.encode()) == text.encode()


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":2}',
        '{ "b" : [ 1 , 2 ] ,\t"a" : { } }',
        '"\\u0041\\/\\"\\\\\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00"',
        '"é 😀 \x7f \u2028"',
        '{"":{"":""}}',
        '["\\ud800","\\udc00\\ud800"]',
        '"' + "\\u0000" * 1000 + '"',
        "[" + "1," * 20_000 + "1]",
        '"' + "x" * 1_000_000 + '"',
    ],
)
def test_text_is_kept_as_it_was_written(client: Client, queue: str, text: str) -> None:
    assert kept(client, queue, text.encode()) == text.encode()


def test_white_space_around_data_is_not_part_of_it(client: Client, queue: str) -> None:
    assert kept(client, queue, b" \t\r [ 1 ,\r2 ] \r\t ") == b"[ 1 ,\r2 ]"


@pytest.mark.parametrize("word", ["nan", "NaN", "Infinity", "-Infinity", "undefined", "True", "nulll", "tru", "0x10"])
def test_words_that_are_not_json_are_refused(client: Client, queue: str, word: str) -> None:
    for line in embeddings(queue, word.encode()):
        check_refusal(send_line(client, line), "invalid")


def test_every_control_character_in_a_string_is_refused_but_delete(client: Client, queue: str) -> None:
    for code in [*range(0x00, 0x0A), *range(0x0B, 0x20)]:
        for line in embeddings(queue, b'"%b"' % bytes([code])):
            check_refusal(send_line(client, line), "invalid")
    assert kept(client, queue, b'"\x7f"') == b'"\x7f"'


def test_only_the_escapes_of_json_are_accepted(client: Client, queue: str) -> None:
    for code in range(0x20, 0x7F):
        if chr(code) in '"\\/bfnrtu':
            continue
        for line in embeddings(queue, b'"\\%b"' % bytes([code])):
            check_refusal(send_line(client, line), "invalid")
    for bad in (b"\\u", b"\\u1", b"\\u12", b"\\u123", b"\\u123g", b"\\u 123", b"\\U0041", b"\\"):
        for line in embeddings(queue, b'"%b"' % bad):
            check_refusal(send_line(client, line), "invalid")
    client.ping()
