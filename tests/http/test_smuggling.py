"""Requests whose end two readers could see in different places. Behind each stands a push that must not be carried out.

What is in doubt is refused once, and the connection closed, so that nothing behind it is taken for a request. What is
in no doubt, however odd, is one request with one answer.
"""

from __future__ import annotations

import re
import socket
from typing import Any

import pytest

from tests.http.client import HttpClient, Raw
from tests.http.conftest import http_of
from tests.tcp.client import Client
from tests.tcp.daemon_process import Daemon

BODY = b'{"data":1}'
STATUS = re.compile(rb"HTTP/1\.[01] (\d\d\d) ")
LAST = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def head(queue: str, *headers: bytes, version: bytes = b"1.1") -> bytes:
    first = b"POST /queues/%s/jobs HTTP/%s" % (queue.encode(), version)
    return b"\r\n".join([first, b"Host: localhost", *headers, b"", b""])


def hidden(queue: str) -> bytes:
    """The push that must not happen."""
    return head(queue + "-hidden", b"Content-Length: %d" % len(BODY)) + BODY


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def refused(server: Daemon, tcp: Client, queue: str, data: bytes) -> None:
    """Send it and the hidden push: one refusal, the connection is closed, and nothing was done."""
    with Raw(http_of(server)) as raw:
        raw.send(data + hidden(queue) + LAST)
        answer = raw.read_all()
    statuses = STATUS.findall(answer)
    assert len(statuses) == 1 and answer.startswith(b"HTTP/1."), answer
    assert statuses[0] in (b"400", b"413", b"431", b"501"), answer
    assert not [row["name"] for row in tcp.ok("LISTQUEUES")["queues"] if row["name"].startswith(queue)]


def taken(server: Daemon, tcp: Client, queue: str, data: bytes, *, pushed: int = 1) -> None:
    """Send it and a request that closes: an answer for each, and `pushed` jobs are there."""
    with Raw(http_of(server)) as raw:
        raw.send(data + LAST)
        answer = raw.read_all()
    assert STATUS.findall(answer) == [b"200", b"200"] and answer.endswith(b'{"ok":true}'), answer
    names = [row["name"] for row in tcp.ok("LISTQUEUES")["queues"] if row["name"].startswith(queue)]
    assert names == [queue] * (pushed > 0)
    assert not pushed or tcp.counts(queue)["pending"] == pushed


# Two lengths


LENGTHS: list[Any] = [
    (b"Content-Length: %d", b"Transfer-Encoding: chunked"),
    (b"Transfer-Encoding: chunked", b"Content-Length: %d"),
    (b"Content-Length: %d", b"Content-Length: 3"),
    (b"Content-Length: 3", b"Content-Length: %d"),
    (b"Content-Length: %d", b"content-length: %d"),
    (b"Content-Length: %d, %d",),
    (b"Content-Length: 0%d, 3",),
    (b"Content-Length:",),
    (b"Content-Length: ",),
    (b"Content-Length: -%d",),
    (b"Content-Length: +%d",),
    (b"Content-Length: %d.0",),
    (b"Content-Length: %d;",),
    (b"Content-Length: 1_0",),
    (b"Content-Length: 0x0a",),
    (b"Content-Length: \xb2",),
    (b"Content-Length: \xd9\xa1",),
    (b"Content-Length: 1 0",),
    (b"Content-Length: \x0c10",),
    (b"Content-Length : %d",),
    (b" Content-Length: %d",),
    (b"Content-Length\x00: %d",),
]


@pytest.mark.parametrize("headers", LENGTHS)
def test_two_lengths_or_a_length_that_is_none_are_refused(
    server: Daemon, tcp: Client, queue: str, headers: tuple[bytes, ...]
) -> None:
    lines = [line.replace(b"%d", b"%d" % len(BODY)) for line in headers]
    refused(server, tcp, queue, head(queue, *lines) + BODY)


def test_an_end_of_chunks_inside_of_a_length_is_no_end(server: Daemon, tcp: Client, queue: str) -> None:
    body = b"0\r\n\r\n" + hidden(queue)
    both = (b"Content-Length: %d" % len(body), b"Transfer-Encoding: chunked")
    refused(server, tcp, queue, head(queue, *both) + body)
    refused(server, tcp, queue, head(queue, *reversed(both)) + body)


# Encodings that are not quite chunked


ENCODINGS = [
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: chunkedx",
    b"Transfer-Encoding: x chunked",
    b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: chunked, chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: cow\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked;q=1",
    b'Transfer-Encoding: "chunked"',
    b"Transfer-Encoding: \x0bchunked",
    b"Transfer-Encoding: chunked\x00",
    b"Transfer-Encoding: chunked\xa0",
    b"Transfer-Encoding : chunked",
    b" Transfer-Encoding: chunked",
    b"Transfer-Encoding\x00: chunked",
    b"X: y\nTransfer-Encoding: chunked",
    b"X: y\rTransfer-Encoding: chunked",
    b"X: \r Transfer-Encoding: chunked",
]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_is_not_quite_chunked_is_refused(server: Daemon, tcp: Client, queue: str, encoding: bytes) -> None:
    refused(server, tcp, queue, head(queue, encoding) + chunk(BODY) + b"0\r\n\r\n")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_nor_does_it_hide_a_request_behind_a_length(server: Daemon, tcp: Client, queue: str, encoding: bytes) -> None:
    length = b"Content-Length: %d" % (len(hidden(queue)) + 5)
    refused(server, tcp, queue, head(queue, length, encoding) + b"0\r\n\r\n")


@pytest.mark.parametrize("value", [b"chunked", b" chunked", b"\tchunked", b"  chunked  ", b"Chunked", b"CHUNKED"])
def test_chunked_in_any_case_and_with_blanks_around_it_is_chunked(
    server: Daemon, tcp: Client, queue: str, value: bytes
) -> None:
    taken(server, tcp, queue, head(queue, b"Transfer-Encoding:" + value) + chunk(BODY) + b"0\r\n\r\n")


def test_a_name_with_an_underscore_is_another_header(server: Daemon, tcp: Client, queue: str) -> None:
    length = b"Content-Length: %d" % len(BODY)
    taken(server, tcp, queue, head(queue, length, b"Transfer_Encoding: chunked", b"Content_Length: 3") + BODY)


def test_chunks_in_http_1_0_are_refused(server: Daemon, tcp: Client, queue: str) -> None:
    refused(server, tcp, queue, head(queue, b"Transfer-Encoding: chunked", b"Connection: keep-alive", version=b"1.0"))


# Chunks


@pytest.mark.parametrize(
    "chunks",
    [
        b"-a\r\n%s\r\n0\r\n\r\n",
        b"+a\r\n%s\r\n0\r\n\r\n",
        b"0xa\r\n%s\r\n0\r\n\r\n",
        b"a_\r\n%s\r\n0\r\n\r\n",
        b"1_0\r\n%s\r\n0\r\n\r\n",
        b"a a\r\n%s\r\n0\r\n\r\n",
        b" a\r\n%s\r\n0\r\n\r\n",
        b"a\x00\r\n%s\r\n0\r\n\r\n",
        b"\xd9\xa1\r\n%s\r\n0\r\n\r\n",
        b"\r\n%s\r\n0\r\n\r\n",
        b";x\r\n%s\r\n0\r\n\r\n",
        b"a;x\ny\r\n%s\r\n0\r\n\r\n",
        b"a;x\x00\r\n%s\r\n0\r\n\r\n",
        b"a\n%s\n0\n\n",
        b"a\r%s\r0\r\r",
        b"a\r\n%s0\r\n\r\n",
        b"a\r\n%sX\r\n0\r\n\r\n",
        b"9\r\n%s\r\n0\r\n\r\n",
    ],
)
def test_chunks_of_doubtful_length_are_refused(server: Daemon, tcp: Client, queue: str, chunks: bytes) -> None:
    assert len(BODY) == 0xA
    refused(server, tcp, queue, head(queue, b"Transfer-Encoding: chunked") + chunks.replace(b"%s", BODY))


@pytest.mark.parametrize("size", [b"10000000000000000a", b"ffffffffffffffff", b"8000000000000000", b"10000000a"])
def test_no_length_of_a_chunk_overflows(server: Daemon, tcp: Client, queue: str, size: bytes) -> None:
    with Raw(http_of(server)) as raw:
        raw.send(head(queue, b"Transfer-Encoding: chunked") + size + b"\r\n" + BODY + b"\r\n0\r\n\r\n" + hidden(queue))
        raw.socket.shutdown(socket.SHUT_WR)
        answer = raw.read_all()
    assert not STATUS.findall(answer) or STATUS.findall(answer)[0] in (b"400", b"413")
    assert not [row["name"] for row in tcp.ok("LISTQUEUES")["queues"] if row["name"].startswith(queue)]


@pytest.mark.parametrize("end", [b"0\r\n\r\n", b"000\r\n\r\n", b"0;x=y\r\n\r\n", b"0\r\nContent-Length: 5\r\n\r\n"])
def test_chunks_end_where_they_say(server: Daemon, tcp: Client, queue: str, end: bytes) -> None:
    taken(server, tcp, queue, head(queue, b"Transfer-Encoding: chunked") + chunk(BODY) + end)


# Heads


@pytest.mark.parametrize(
    "header",
    [
        b"X: y\r\n folded",
        b"X: y\r\n\tfolded",
        b"Content-Length:\r\n 10",
        b"Transfer-Encoding:\r\n chunked",
        b"X: a\x00b",
        b"\x00: b",
        b"X\xc3\xa9: b",
        b"X(: b",
        b": b",
        b"X",
    ],
)
def test_headers_that_are_none_are_refused(server: Daemon, tcp: Client, queue: str, header: bytes) -> None:
    refused(server, tcp, queue, head(queue, b"Content-Length: %d" % len(BODY), header) + BODY)


def test_bare_line_feeds_end_no_header(server: Daemon, tcp: Client, queue: str) -> None:
    whole = head(queue, b"Content-Length: %d" % len(BODY))
    for at in [match.end() for match in re.finditer(rb"\r(?=\n)", whole)]:
        refused(server, tcp, queue, whole[: at - 1] + whole[at:] + BODY)


def test_a_great_number_of_headers_is_refused(server: Daemon, tcp: Client, queue: str) -> None:
    many = [b"X-%d: y" % number for number in range(4000)]
    refused(server, tcp, queue, head(queue, b"Content-Length: %d" % len(BODY), *many) + BODY)


@pytest.mark.parametrize(
    "target",
    [
        b"/queues/%s/jobs\rHTTP/1.1",
        b"/queues/%s/jobs\x00",
        b"/queues/%s/jobs\t",
        b"//%s HTTP/1.1 x",
    ],
)
def test_targets_that_are_none_are_refused(server: Daemon, tcp: Client, queue: str, target: bytes) -> None:
    data = (
        b"POST " + target.replace(b"%s", queue.encode()) + b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n"
    )
    refused(server, tcp, queue, data)


def test_an_absolute_target_is_its_path(server: Daemon, tcp: Client, queue: str) -> None:
    first = b"POST http://localhost:6790/queues/%s/jobs HTTP/1.1\r\nHost: localhost\r\n" % queue.encode()
    taken(server, tcp, queue, first + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY)


def test_a_body_where_none_is_wanted_is_no_request(server: Daemon, tcp: Client, queue: str) -> None:
    body = hidden(queue)
    taken(
        server,
        tcp,
        queue,
        b"GET /stats HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body),
        pushed=0,
    )


def test_an_honest_request_is_served_afterwards(web: HttpClient, queue: str) -> None:
    assert web.post(f"/queues/{queue}/jobs", BODY).data["state"] == "waiting"
