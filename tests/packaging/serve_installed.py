"""Whether the mqfast that is installed beside this Python works: it serves, over sockets and HTTP, with its dashboard.

A program of the standard library alone, for environments that have nothing but the wheel. Ends with status 0 if all is
well. Run it with -I, so that no module of the folder around it is taken for the installed one.
"""

import json
import re
import socket
import subprocess
import sys
import sysconfig
from pathlib import Path
from urllib.request import urlopen

SECONDS = 60.0
HTTP = ("--http", "1", "--http-host", "127.0.0.1", "--http-port", "0")


def main() -> None:
    import mqfast

    assert Path(mqfast.__file__).is_relative_to(sysconfig.get_path("platlib")), f"not installed: {mqfast.__file__}"
    program = str(Path(sysconfig.get_path("scripts")) / "mqfast")
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=True, timeout=SECONDS).stdout
    assert told == f"mqfast {mqfast.__version__}\n", told
    daemon = subprocess.Popen(
        [program, "serve", "--host", "127.0.0.1", "--port", "0", *HTTP],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert daemon.stdout is not None
        port, web = map(int, re.findall(r"127\.0\.0\.1:(\d+)", daemon.stdout.readline()))
        push_and_pull(port)
        look_at(f"http://127.0.0.1:{web}")
        daemon.terminate()
        assert daemon.wait(SECONDS) == 0
    finally:
        daemon.kill()
        daemon.communicate()
    print(f"mqfast {mqfast.__version__} serves under Python {sys.version.split()[0]}")


def push_and_pull(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as client, client.makefile("rw") as stream:

        def call(**request: object) -> dict[str, object]:
            print(json.dumps(request), file=stream, flush=True)
            answer: dict[str, object] = json.loads(stream.readline())
            assert answer["ok"] is True, answer
            return answer

        pushed = call(cmd="PUSH", queue="q", data={"n": 1})
        job = call(cmd="PULL", queue="q")["job"]
        assert isinstance(job, dict) and job["id"] == pushed["id"] and job["data"] == {"n": 1}
        call(cmd="ACK", id=pushed["id"])
        call(cmd="CRON", name="c", queue="q", data=1, schedule="0 3 * * *", tz="Europe/Berlin")


def look_at(url: str) -> None:
    def get(path: str) -> str:
        with urlopen(url + path, timeout=SECONDS) as answer:
            text: str = answer.read().decode()
            return text

    assert json.loads(get("/health"))["ok"] is True
    assert "mqfast_jobs_completed_total 1.0\n" in get("/metrics/prometheus")
    page = get("/")
    parts = re.findall(r'(?:src|href)="([^":]+\.(?:js|css))"', page)
    assert len(parts) >= 2, page
    for part in parts:
        assert get("/" + part.lstrip("/"))


if __name__ == "__main__":
    main()
