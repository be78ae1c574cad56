"""Fetching a URL from hosts that the caller named: no other host, no private address, no unbounded body.

A name is resolved once, and the connection goes to the very address that was checked, so that a name that
changes between the check and the connection gains nothing. Proxies of the environment are not used: they
would resolve names themselves.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from urllib.parse import SplitResult, urljoin, urlsplit

from mmagent.errors import IntakeError
from mmagent.intake.limits import Limits

SECONDS_TO_ANSWER = 15.0
SECONDS_IN_ALL = 120.0
REDIRECTS = 5
_BLOCK = 2**16


def fetch(url: str, hosts: Sequence[str], limits: Limits) -> tuple[bytes, str]:
    """The body of `url` and a name for it (the address without its query, which may hold secrets).

    `hosts` are exact names, with or without a port (`example.org`, `localhost:8000`); every redirect is held
    against them again. IntakeError for everything refused, and for every failure.
    """
    allowed = frozenset(host.lower().rstrip(".") for host in hosts)
    deadline = time.monotonic() + SECONDS_IN_ALL
    secure = False
    for _ in range(REDIRECTS + 1):
        parts = _checked(url, allowed, secure)
        secure = parts.scheme == "https"
        name = f"{parts.scheme}://{parts.netloc}{parts.path}"
        try:
            found = _get(parts, limits, name, deadline)
        except (OSError, http.client.HTTPException) as error:
            late = time.monotonic() > deadline
            reason = f"it takes longer than {SECONDS_IN_ALL:.0f} seconds" if late else type(error).__name__
            raise IntakeError(f"cannot fetch {name}: {reason}; download it and give its path") from error
        if isinstance(found, bytes):
            return found, name
        url = urljoin(url, found.location)
    raise IntakeError(f"{name} redirects more than {REDIRECTS} times; give the final address")


class _Redirect:
    def __init__(self, location: str) -> None:
        self.location = location


def _checked(url: str, allowed: frozenset[str], secure: bool) -> SplitResult:
    """The parts of an address that may be fetched."""
    # Spaces, control characters and backslashes are where URL parsers disagree about the host.
    if not url.isascii() or any(char <= " " or char in '\\"<>^`{|}\x7f' for char in url):
        raise IntakeError("the address holds characters that a URL may not; percent-encode them, names as punycode")
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        raise IntakeError("the address is not a well-formed URL; check its host and port") from None
    if parts.scheme not in ("http", "https") or (secure and parts.scheme != "https"):
        raise IntakeError(f"redirected to {parts.scheme}://{host}, which is not followed; give the final address")
    if "@" in parts.netloc:
        raise IntakeError(f"the address of {host} carries a user name; fetch it yourself and give the bytes")
    port = port or (443 if parts.scheme == "https" else 80)
    if host not in allowed and f"{host}:{port}" not in allowed:
        named = ", ".join(sorted(allowed)) or "none"
        raise IntakeError(f"{parts.scheme}://{host} is not fetched: hosts allowed are {named}; add hosts=[{host!r}]")
    return parts


def _addresses(host: str, port: int) -> list[str]:
    """The addresses of `host`; private ones only where the host is an address itself, or localhost, and was named."""
    found = [str(item[4][0]) for item in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    if host == "localhost" or _is_address(host):
        return found
    for text in found:
        if not _public(text):
            raise IntakeError(f"{host} resolves to the private address {text}; name that address itself among hosts")
    return found


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _public(text: str) -> bool:
    address = ipaddress.ip_address(text.split("%")[0])
    inner = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
    return (inner or address).is_global and not address.is_multicast


def _dial(host: str, port: int) -> socket.socket:
    failure: OSError = ConnectionError(f"{host} has no address")
    for address in _addresses(host, port):
        try:
            return socket.create_connection((address, port), timeout=SECONDS_TO_ANSWER)
        except OSError as error:
            failure = error
    raise failure


def _get(parts: SplitResult, limits: Limits, name: str, deadline: float) -> bytes | _Redirect:
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    connection = http.client.HTTPConnection(host, port, timeout=SECONDS_TO_ANSWER)
    connection.sock = sock = _dial(host, port)
    # Each wait for bytes has its own timeout; a server that drips them is hung up on.
    timer = threading.Timer(max(deadline - time.monotonic(), 0.0), _hang_up, [sock])
    timer.daemon = True
    try:
        timer.start()
        if secure:
            connection.sock = ssl.create_default_context().wrap_socket(sock, server_hostname=host)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        # A compressed body would be a second thing to bound.
        connection.request("GET", target, headers={"Accept-Encoding": "identity", "User-Agent": "mmagent"})
        with connection.getresponse() as answer:
            return _answer(answer, limits, name, deadline)
    finally:
        timer.cancel()
        connection.close()
        sock.close()  # it is no longer the connection's own where TLS could not begin


def _hang_up(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it may have been closed in the meantime
        sock.shutdown(socket.SHUT_RDWR)


def _answer(answer: http.client.HTTPResponse, limits: Limits, name: str, deadline: float) -> bytes | _Redirect:
    location = answer.getheader("Location")
    if answer.status in (301, 302, 303, 307, 308) and location:
        return _Redirect(location)
    if answer.status != 200:
        raise IntakeError(f"{name} answers with status {answer.status}; check the address")
    if answer.getheader("Content-Encoding", "identity") != "identity":
        raise IntakeError(f"{name} comes compressed though it was asked not to; download it and give its path")
    return _body(answer, limits, name, deadline)


def _body(answer: http.client.HTTPResponse, limits: Limits, name: str, deadline: float) -> bytes:
    if answer.length is not None:
        limits.check("file_bytes", answer.length, name)
    blocks: list[bytes] = []
    size = 0
    while block := answer.read1(_BLOCK):
        size += len(block)
        limits.check("file_bytes", size, name)
        blocks.append(block)
    if time.monotonic() > deadline:
        raise IntakeError(f"{name} takes longer than {SECONDS_IN_ALL:.0f} seconds; download it and give its path")
    if answer.length:
        raise IntakeError(f"{name} ended {answer.length:,} bytes early; try again")
    return b"".join(blocks)
