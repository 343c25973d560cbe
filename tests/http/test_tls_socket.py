"""What waitress is shown of a TLS connection, where the other side does not keep to the rules."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from mqfast.http.tls import TlsSocket, make_context

Pair = tuple[TlsSocket, socket.socket]


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    issued = trustme.CA().issue_cert("localhost")
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    key.write_bytes(issued.private_key_pem.bytes())
    certificate.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname(), timeout=15)
        accepted, _ = listener.accept()
    return TlsSocket(accepted, make_context(str(certificate), str(key))), client


def close(client: socket.socket) -> None:
    client.close()


def close_half(client: socket.socket) -> None:
    client.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("end", [close, close_half])
def test_sending_to_one_that_has_gone_fails_as_a_plain_socket_does(
    pair: Pair, end: Callable[[socket.socket], None]
) -> None:
    ours, client = pair
    end(client)
    with pytest.raises(ConnectionError):
        ours.send(b"hello")
    ours.close()
    client.close()


def test_reading_from_one_that_has_gone_is_the_end(pair: Pair) -> None:
    ours, client = pair
    client.close()
    assert ours.recv(100) == b""
    ours.close()


def test_a_client_that_speaks_no_tls_is_a_broken_connection(pair: Pair) -> None:
    ours, client = pair
    client.sendall(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(ConnectionResetError):
        ours.recv(100)
    ours.close()
    client.close()
