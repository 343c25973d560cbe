"""The OpenAPI description: it is one, it is complete, and the daemon does what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mqfast.commands import COMMANDS, ERRORS
from tests.http.client import HttpClient
from tests.http.conftest import HTTP, http_of
from tests.tcp.fixtures import StartDaemon

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,unsupported_method,allow_header_conformance"
)
NO_WAITING = """
[[operations]]
include-operation-id = "pullb"
parameters = { timeout = 0 }
"""


@pytest.fixture
def document(web: HttpClient) -> Any:
    answer = web.get("/openapi.json")
    assert answer.status == 200
    return answer.json


def test_every_route_is_described(document: Any) -> None:
    assert document["openapi"].startswith("3.1.")
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    offered = {(row.http_method, row.http_path) for row in COMMANDS if row.http_path}
    assert offered <= described
    assert {path for _, path in described - offered} == {"/events", "/health", "/metrics/prometheus", "/openapi.json"}


def test_every_field_of_a_route_is_described(document: Any) -> None:
    for row in COMMANDS:
        if row.http_path:
            operation = document["paths"][row.http_path][row.http_method.lower()]
            named = {parameter["name"] for parameter in operation["parameters"]}
            if row.http_method != "GET":
                body = operation["requestBody"]["content"]["application/json"]["schema"]
                for schema in body.get("anyOf", [body]):
                    named |= set(schema["properties"])
            assert {*row.required, *row.optional} <= named, row.name


def test_every_code_is_described(document: Any) -> None:
    assert document["components"]["schemas"]["Refusal"]["properties"]["code"]["enum"] == [row.code for row in ERRORS]


def test_the_daemon_does_what_the_description_says(start_daemon: StartDaemon, tmp_path: Path) -> None:
    """schemathesis makes requests from it, right ones and wrong ones, always the same."""
    daemon = start_daemon(*HTTP)
    host, port = http_of(daemon)
    (tmp_path / "schemathesis.toml").write_text(NO_WAITING)
    skipped = ["--exclude-path", "/events"]  # it does not end
    done = subprocess.run(
        [
            *(str(Path(sys.executable).with_name("schemathesis")), "run", f"http://{host}:{port}/openapi.json"),
            *("--checks", CHECKS, "--phases", "coverage,fuzzing,stateful", "--mode", "all", "--seed", "1"),
            *("--generation-deterministic", "--max-examples", "10", "--workers", "1"),
            *("--request-timeout", "15", "--max-failures", "5", "--no-color", *skipped),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=180,
        env={**os.environ, "COLUMNS": "120"},
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
