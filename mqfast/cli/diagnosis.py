"""Whether what is there is the daemon at all, or one that is set up differently: another port, TLS on one side only.

A port of TLS need not answer what is plain: OpenSSL ends the connection without a word, as a daemon does that dies. So
where a connection ends like that, the port is asked whether it speaks TLS.
"""

import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from mqfast.cli.address import Address
from mqfast.cli.errors import MismatchError

if TYPE_CHECKING:
    import ssl

ASK_SECONDS = 5.0

_ALERT = b"\x15"
"""How an answer begins with which a server of TLS refuses; no line of the protocol does."""

_ANSWERS_OF_TLS = (_ALERT, b"\x16")

_ANOTHER_NAME = (62, 64)
"""OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH."""

_NOBODY_VOUCHES = (18, 19, 20, 21)
"""Its codes for a certificate that it cannot trace back to one that is trusted."""


def check_first_bytes(address: Address, received: bytes) -> None:
    """Raises MismatchError if what came first on a connection tells that it is no daemon's of this protocol."""
    if received.startswith(b"HTTP/"):
        raise MismatchError(f"{address} is an HTTP port: use the daemon's PORT (6789) instead of its HTTP_PORT")
    if received.startswith(_ALERT):
        raise speaks_tls_error(address)


def speaks_tls_error(address: Address) -> MismatchError:
    return MismatchError(f"{address} speaks TLS: use mqs://… as its URL, or --tls")


def may_speak_tls(address: Address) -> bool:
    """Ask a port that has ended a plain connection without a word; False if it does not say."""
    if address.tls or address.path is not None:
        return False
    with suppress(OSError), socket.create_connection((address.host, address.port), ASK_SECONDS) as asking:
        asking.sendall(_client_hello())
        return asking.recv(1) in _ANSWERS_OF_TLS
    return False


def certificate_error(address: Address, error: "ssl.SSLCertVerificationError") -> MismatchError:
    """Of a certificate that was refused."""
    why = error.verify_message.rstrip(".")
    if error.verify_code in _ANOTHER_NAME:
        return MismatchError(f"the certificate of {address} is for another name: {why}")
    advice = "; name a file with who vouches for it: --ca FILE" if error.verify_code in _NOBODY_VOUCHES else ""
    return MismatchError(f"the certificate of {address} is not trusted ({why}){advice}")


def _client_hello() -> bytes:
    """The first message of a handshake, which is not gone on with: whom to trust does not matter."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    hello = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), hello).do_handshake()
    return hello.read()
