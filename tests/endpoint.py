"""A server on this machine that speaks OpenAI's formats, and misbehaves on purpose."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from adaptox.labels import OPENAI_CATEGORIES
from adaptox.records import Conversation
from adaptox.teach import pace

LATE_S = 0.8


def hurry(monkeypatch):
    """Let no pause last long."""
    monkeypatch.setattr(pace, "_FIRST_PAUSE_S", 0.002)
    monkeypatch.setattr(pace, "_LONGEST_PAUSE_S", 0.02)


def texts(count):
    """Give so many conversations by their keys."""
    return {f"key {number}": Conversation.of(f"text {number}") for number in range(count)}


def moderated(**changes):
    scores = {name: number / 100 for number, name in enumerate(OPENAI_CATEGORIES)} | changes
    return {"id": "modr-1", "model": "m", "results": [{"flagged": False, "category_scores": scores}]}


def chatted(content="yes", tops=None, **message):
    """Answer as a chat model; `tops` is a list of (token, logprob) for each token of the answer, its own first."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content} | message}
    if tops is not None:
        rows = [[{"token": token, "logprob": logprob} for token, logprob in row] for row in tops]
        choice["logprobs"] = {"content": [row[0] | {"top_logprobs": row} for row in rows]}
    return {"choices": [choice], "usage": {"prompt_tokens": 50, "completion_tokens": 1, "total_tokens": 51}}


class Server(ThreadingHTTPServer):
    """Speaks OpenAI's formats.

    `plan` says how it misbehaves, one entry an attempt, for a text or for all; after that, `taste` says it of what
    is sent. Before both, `rule` says it of the text, where it gives something.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = threading.Lock()
        self.asked, self.begun_s, self.bodies, self.keys, self.headers = [], [], [], [], []
        self.under_way = self.most = 0
        self.plan, self.pause_s, self.on_ask = {}, 0.0, lambda count: None
        self.taste, self.rule = lambda body: "well", lambda text: None
        self.answer = {"moderations": moderated(), "completions": chatted()}

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request, client_address):
        """Clients that went away are part of the game."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Stay silent."""

    def do_POST(self):
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = (
            body.get("input")
            or json.loads(body["messages"][1]["content"].split("\n\n")[0])["conversation"][0]["content"]
        )
        with server.lock:
            server.asked.append(text)
            server.begun_s.append(time.monotonic())
            server.bodies.append(body)
            server.keys.append(self.headers.get("Authorization"))
            server.headers.append(dict(self.headers))
            server.under_way += 1
            server.most = max(server.most, server.under_way)
            plan = server.plan.get(text, server.plan.get("*", []))
            step = server.rule(text) or (plan.pop(0) if plan else server.taste(body))
        try:
            server.on_ask(len(server.asked))
            time.sleep(server.pause_s)
        finally:
            # Counted as ended before the client can know, so that its next call is not counted beside this one.
            with server.lock:
                server.under_way -= 1
        self.misbehave(step)

    def misbehave(self, step):
        match step:
            case "well":
                self.reply(200, self.server.answer[self.path.rsplit("/")[-1]])
            case "slow":
                time.sleep(0.1)
                self.misbehave("well")
            case "late":
                time.sleep(LATE_S)
                self.close_connection = True
            case "cut":
                self.send_response(200)
                self.send_header("Content-Length", "500")
                self.end_headers()
                self.wfile.write(b'{"results": [')
                self.close_connection = True
            case "gone":
                self.close_connection = True
            case (status, body, headers):
                self.reply(status, body, **headers)
            case (status, body):
                self.reply(status, body)
            case _:
                self.reply(200, step)

    def reply(self, status, body, **headers):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def running() -> Iterator[Server]:
    """Let a server run."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()
