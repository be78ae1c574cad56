"""Fetching from named hosts, against a real server on this machine."""

from __future__ import annotations

import contextlib
import http.server
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from mmagent.errors import IntakeError
from mmagent.intake import Limits, read, url
from mmagent.media import Text


class Site(http.server.BaseHTTPRequestHandler):
    """A small site; `asked` records every path that was requested."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        path, _, query = self.path.partition("?")
        if path == "/note.txt":
            self.answer(200, b"hello")
        elif path == "/to":
            self.answer(302, b"", Location=query)
        elif path == "/loop":
            self.answer(302, b"", Location="/loop")
        elif path == "/endless":
            self.send_response(200)
            self.end_headers()
            self.pour(b"x" * 4096)
        elif path.startswith("/drip"):
            self.wfile.write(b"HTTP/1.0 200 OK\r\n" + (b"X: " if path == "/drip-headers" else b"\r\n"))
            self.pour(b"x", pause=0.02)
        elif path == "/forged":
            self.answer(200, b"x", length=10**12)
        elif path == "/short":
            self.answer(200, b"x", length=10)
        elif path == "/bomb":
            self.answer(200, zlib.compress(b"\0" * 10**6), Content_Encoding="deflate")
        else:
            self.answer(404, b"nothing here")

    def pour(self, piece: bytes, pause: float = 0.0) -> None:
        """Write for ever, until the other side has gone."""
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(piece)
                time.sleep(pause)

    def answer(self, status: int, body: bytes, length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Keep quiet."""


@pytest.fixture
def site() -> Iterator[str]:
    Site.asked.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What host names resolve to; names that are not in it resolve as ever."""
    table: dict[str, str] = {}
    real = socket.getaddrinfo

    def look_up(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        return real(table.get(host, host), port, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return table


def test_a_named_host_is_fetched(site: str) -> None:
    for hosts in (["127.0.0.1"], [site]):
        assert Text.open(f"http://{site}/note.txt", hosts=hosts).text == "hello"


def test_the_name_leaves_out_what_the_query_may_hide(site: str) -> None:
    found = read(f"http://{site}/note.txt?token=secret", hosts=["127.0.0.1"])
    assert found.name == f"http://{site}/note.txt"


def test_a_host_named_with_a_port_is_no_licence_for_other_ports(site: str) -> None:
    with pytest.raises(IntakeError, match="not fetched"):
        read(f"http://{site}/note.txt", hosts=["127.0.0.1:1"])
    assert Site.asked == []


def test_a_redirect_within_the_named_hosts_is_followed(site: str) -> None:
    assert read(f"http://{site}/to?/note.txt", hosts=[site]).data == b"hello"


@pytest.mark.parametrize(
    "target", ["http://localhost:{port}/note.txt", "http://169.254.169.254/latest", "//localhost:{port}/note.txt"]
)
def test_a_redirect_elsewhere_is_not_followed(site: str, target: str) -> None:
    with pytest.raises(IntakeError, match="not fetched"):
        read(f"http://{site}/to?" + target.format(port=site.split(":")[1]), hosts=["127.0.0.1"])
    assert len(Site.asked) == 1


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://user:pw@127.0.0.1/x"])
def test_a_redirect_to_another_kind_of_address_is_not_followed(site: str, target: str) -> None:
    with pytest.raises(IntakeError, match=r"not followed|user name"):
        read(f"http://{site}/to?{target}", hosts=["127.0.0.1"])


def test_redirects_end(site: str) -> None:
    with pytest.raises(IntakeError, match="redirects more than"):
        read(f"http://{site}/loop", hosts=[site])


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "fd00::1", "0.0.0.1", "224.0.0.1"],
)
def test_a_name_that_resolves_to_a_private_address_is_refused(names: dict[str, str], address: str) -> None:
    names["innocent.example"] = address
    with pytest.raises(IntakeError, match="private address"):
        read("http://innocent.example/", hosts=["innocent.example"])


def test_a_name_that_changes_after_the_check_gains_nothing(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second look-up would lead to the site; the connection goes to the address that was checked."""
    port, dialled = int(site.split(":")[1]), list[object]()
    answers = iter(["93.184.215.14", "127.0.0.1", "127.0.0.1"])

    def look_up(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    def dial(address: Any, *args: Any, **options: Any) -> socket.socket:
        dialled.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(socket, "create_connection", dial)
    with pytest.raises(IntakeError, match="cannot fetch"):
        read(f"http://rebinding.example:{port}/note.txt", hosts=["rebinding.example"])
    assert dialled == [("93.184.215.14", port)]


@pytest.mark.parametrize("path", ["/endless", "/forged"])
def test_a_body_over_the_limit_is_cut_off(site: str, path: str) -> None:
    with pytest.raises(IntakeError, match="the limit is 100,000"):
        read(f"http://{site}{path}", hosts=[site], limits=Limits(file_bytes=100_000))


@pytest.mark.parametrize("path", ["/drip", "/drip-headers"])
def test_an_answer_that_takes_for_ever_is_cut_off(site: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(url, "SECONDS_IN_ALL", 0.3)
    with pytest.raises(IntakeError, match="takes longer"):
        read(f"http://{site}{path}", hosts=[site])


@pytest.mark.parametrize(
    ("path", "reason"), [("/bomb", "compressed"), ("/short", "IncompleteRead|early"), ("/gone", "404")]
)
def test_other_answers_are_refused_with_the_reason(site: str, path: str, reason: str) -> None:
    with pytest.raises(IntakeError, match=reason) as caught:
        read(f"http://{site}{path}", hosts=[site])
    assert "nothing here" not in str(caught.value)


@pytest.mark.parametrize(
    "bad",
    [
        "http://good.example\\@evil.example/",
        "http://good.example@evil.example/",
        "http://good.example\t/",
        "http://good.example /x",
        "http://good.example:99999/",
        "http://[::1/",
        "http://gооd.example/",  # Cyrillic о
        "http:///path",
        "http://good.example.evil.example/",
        "http://evil.example/good.example",
        "http://evil.example#good.example",
        "http://evil.example?good.example",
    ],
)
def test_addresses_that_parsers_disagree_about_are_refused(bad: str) -> None:
    with pytest.raises(IntakeError):
        read(bad, hosts=["good.example"])
