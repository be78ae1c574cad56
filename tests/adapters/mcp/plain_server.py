"""A server without any library, which starts at once and dies as easily. Run as a program, with a port for HTTP."""

from __future__ import annotations

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

NOTED = {"type": "object", "properties": {"mark": {"type": "string"}}, "required": ["mark"]}
TOOLS = {"pid": {"type": "object"}, "die": {"type": "object"}, "linger": NOTED, "mislead": NOTED}
SESSION = f"session-{os.getpid()}"
FORGOTTEN = {"error": {"code": -32001, "message": "Session not found"}}


def called(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The answer to a call: `linger` has none, and `mislead` uses the words by which servers forget a session."""
    if name == "die":
        os._exit(3)
    if name == "pid":
        return {"result": {"content": [{"type": "text", "text": str(os.getpid())}]}}
    with Path(arguments["mark"]).open("a") as file:
        file.write("began")
    return FORGOTTEN if name == "mislead" else {}


def answered(asked: dict[str, Any]) -> bytes:
    """The answer to a message as a line; an empty one where there is none."""
    answer: dict[str, Any] = {"error": {"code": -32601, "message": "Method not found"}}
    if asked["method"] == "initialize":
        about = {"name": "Plain", "version": "1"}
        answer = {"result": {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": about}}
    elif asked["method"] == "tools/list":
        answer = {"result": {"tools": [{"name": name, "inputSchema": schema} for name, schema in TOOLS.items()]}}
    elif asked["method"] == "tools/call":
        answer = called(asked["params"]["name"], asked["params"].get("arguments", {}))
    return line(asked, answer) if "id" in asked and answer else b""


def line(asked: dict[str, Any], answer: dict[str, Any]) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": asked.get("id"), **answer}).encode() + b"\n"


class Handler(BaseHTTPRequestHandler):
    """Streamable HTTP with one session, which a server that is started anew does not know."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        known = asked["method"] in ("initialize", "server/discover") or self.headers["Mcp-Session-Id"] == SESSION
        body = answered(asked) if known else line(asked, FORGOTTEN)
        self.send_response((200 if body else 202) if known else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Mcp-Session-Id", SESSION)
        self.end_headers()
        self.wfile.write(body)


if sys.argv[1:]:
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    sys.stderr.write(f"http://127.0.0.1:{sys.argv[1]}\n")
    server.serve_forever()
for text in sys.stdin.buffer:
    sys.stdout.buffer.write(answered(json.loads(text)))
    sys.stdout.buffer.flush()
