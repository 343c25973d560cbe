"""Why a connection can never work, however often it is tried: client and daemon are set up differently.

A port of TLS need not answer what is plain: OpenSSL ends the connection without a word, as a daemon does that dies. So
where a connection ends like that, the port is asked whether it speaks TLS.
"""

from __future__ import annotations

import contextlib
import ssl

from ._address import Address
from .errors import ConfigurationError, ConnectionLostError

ALERT = b"\x15"
"""How an answer begins with which a server of TLS refuses; no line of the protocol does."""

ANSWERS_OF_TLS = (ALERT, b"\x16")
"""How what a server of TLS answers to a handshake's first message begins."""

ANOTHER_NAME = (62, 64)
"""OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH."""

NOBODY_VOUCHES = (18, 19, 20, 21)
"""Its codes for a certificate that it cannot trace back to one that is trusted."""


def speaks_tls_error(place: str) -> ConfigurationError:
    return _error(place, "this port speaks TLS: use mqs:// or tls=True")


def http_error(place: str) -> ConfigurationError:
    return _error(place, "this is an HTTP port: use the daemon's PORT (6789) instead of its HTTP_PORT")


def file_error(place: str, file: str, error: OSError) -> ConfigurationError:
    """A file of certificates that cannot be used."""
    return _error(place, f"the certificates of tls={file} cannot be read: {error.strerror or error}")


def dial_error(place: str, error: OSError) -> ConnectionLostError:
    """What a failed try to connect ends with. That of a handshake may be final."""
    if isinstance(error, ssl.SSLCertVerificationError):
        why = f"certificate verify failed: {error.verify_message.rstrip('.')}"
        if error.verify_code in ANOTHER_NAME:
            why += "; connect by a name that the certificate has"
        elif error.verify_code in NOBODY_VOUCHES:
            why += "; name a PEM file with who vouches for the daemon: tls=FILE"
        return _error(place, why)
    if isinstance(error, ssl.SSLError) and error.reason == "WRONG_VERSION_NUMBER":
        return _error(place, "this port does not speak TLS: use mq:// and no tls")
    return ConnectionLostError(f"Cannot connect to {place}: {error.strerror or error}")


def may_speak_tls(address: Address) -> bool:
    """Whether there is doubt: the client does not, and a Unix socket never does."""
    return address.unix_socket is None and not address.tls


def client_hello() -> bytes:
    """To ask a port whether it speaks TLS: it does if one of ANSWERS_OF_TLS is what comes back."""
    # The handshake is not gone on with: whom to trust does not matter.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    hello = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), hello).do_handshake()
    return hello.read()


def _error(place: str, why: str) -> ConfigurationError:
    return ConfigurationError(f"Cannot connect to {place}: {why}")
