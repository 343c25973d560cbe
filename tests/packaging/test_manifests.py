"""The files for systemd, containers and clusters name what there is: settings, ports, paths, metrics."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import urllib.error
from pathlib import Path
from typing import Any

import pytest
import yaml

from mqfast import __version__
from mqfast.http.app import HEALTH
from mqfast.http.prometheus import PATH as METRICS
from mqfast.http.prometheus import QUEUE_GAUGES
from mqfast.settings import SETTINGS, load
from tests.tcp.fixtures import StartDaemon, start_daemon

__all__ = ["start_daemon"]

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "packaging/mqfast.service"
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
NAMES = {setting.env for setting in SETTINGS}
PORTS = {load({}, {}).port, load({}, {}).http_port}
ENV = dict(re.findall(r"(\w+)=(\S+)", re.findall(r"^ENV (.*)$", DOCKERFILE, re.MULTILINE)[0]))


def documents(path: str) -> dict[str, dict[str, Any]]:
    found = yaml.safe_load_all((ROOT / path).read_text(encoding="utf-8"))
    return {document["kind"]: document for document in found}


def command_of(instruction: str) -> list[str]:
    (text,) = re.findall(rf"^{instruction}\b.*?(\[.*\])$", DOCKERFILE, re.MULTILINE)
    command: list[str] = json.loads(text)
    return command


# systemd


def service() -> list[tuple[str, str]]:
    text = UNIT.read_text(encoding="utf-8").partition("[Service]")[2].partition("[Install]")[0]
    return [(line.split("=", 1)[0], line.split("=", 1)[1]) for line in text.splitlines() if re.match(r"\w+=", line)]


def test_unit_sets_what_exists_and_serves_by_it() -> None:
    lines = dict(service())
    environ = dict(item.split("=", 1) for item in shlex.split(lines["Environment"]))
    assert set(environ) <= NAMES
    settings = load({}, environ)
    assert settings.http and settings.persist == f"/var/lib/{lines['StateDirectory']}"
    assert shlex.split(lines["ExecStart"])[1:] == ["serve"]
    assert lines["Type"].startswith("notify")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    text = UNIT.read_text(encoding="utf-8").replace("/opt/mqfast/bin/mqfast", sys.executable)
    unit.write_text(text, encoding="utf-8")
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=60
    )
    assert (checked.returncode, checked.stdout) == (0, "")
    assert UNIT.name not in checked.stderr


# Containers


def test_image_sets_what_exists_and_its_ports_are_the_daemons() -> None:
    assert set(ENV) - {"PYTHONUNBUFFERED"} <= NAMES
    settings = load({}, ENV)
    assert (settings.hosts, settings.http, settings.http_hosts, settings.persist) == (
        ("0.0.0.0",),
        True,
        ("0.0.0.0",),
        "/data",
    )
    assert set(map(int, re.findall(r"^EXPOSE (.*)$", DOCKERFILE, re.MULTILINE)[0].split())) == PORTS
    assert re.findall(r"^VOLUME (.*)$", DOCKERFILE, re.MULTILINE) == [settings.persist]
    assert command_of("ENTRYPOINT") + command_of("CMD") == ["mqfast", "serve"]
    assert re.search(r"^USER [1-9]\d*$", DOCKERFILE, re.MULTILINE), "not by a number that Kubernetes can check"


def test_what_the_image_copies_is_in_its_context() -> None:
    for source in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE):
        for name in source.split():
            assert (ROOT / name).exists(), name
    kept = re.findall(r"^!(.*)$", (ROOT / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE)
    assert {"setup.py", "pyproject.toml", "LICENSE", "README.md", "csrc", "mqfast"} <= set(kept)
    assert all((ROOT / name).exists() for name in kept)


def test_health_check_of_the_image_tells_a_daemon_from_none(start_daemon: StartDaemon) -> None:
    (text,) = re.findall(r"^HEALTHCHECK.*? CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    python, *arguments = json.loads(text)
    assert python == "python" and HEALTH in arguments[-1]
    daemon = start_daemon("--http", "1", "--http-port", "0")
    assert daemon.http is not None

    def check(port: int) -> subprocess.CompletedProcess[str]:
        environ = {**os.environ, "HTTP_PORT": str(port)}
        return subprocess.run([sys.executable, *arguments], env=environ, capture_output=True, text=True, timeout=30)

    assert check(daemon.http[1]).returncode == 0
    daemon.stop()
    failed = check(daemon.http[1])
    assert failed.returncode == 1 and urllib.error.URLError.__name__ in failed.stderr


def test_compose_names_what_exists() -> None:
    service = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]["mqfast"]
    assert set(service["environment"]) <= NAMES
    load({}, service["environment"])
    assert {int(port.rsplit(":", 1)[1]) for port in service["ports"]} == PORTS
    assert all(port.startswith("127.0.0.1:") for port in service["ports"]), "open to the network by mistake"
    assert {volume.rsplit(":", 1)[1] for volume in service["volumes"]} == {ENV["PERSIST"]}


# Clusters


def test_kubernetes_names_what_exists() -> None:
    found = documents("packaging/kubernetes.yaml")
    stateful = found["StatefulSet"]["spec"]
    assert stateful["replicas"] == 1
    template = stateful["template"]
    (container,) = template["spec"]["containers"]
    assert container["image"] == f"mqfast:{__version__}"
    environ = {variable["name"]: variable.get("value", "token") for variable in container["env"]}
    assert set(environ) <= NAMES
    settings = load({}, {**ENV, **environ})
    (mount,) = (mount for mount in container["volumeMounts"] if mount["name"] == "data")
    assert settings.persist is not None and Path(settings.persist).is_relative_to(mount["mountPath"])
    assert settings.auth_tokens
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"mq": settings.port, "http": settings.http_port}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": HEALTH, "port": "http"}
    annotations = template["metadata"]["annotations"]
    assert annotations["prometheus.io/path"] == METRICS
    assert int(annotations["prometheus.io/port"]) == settings.http_port
    assert {port["targetPort"] for port in found["Service"]["spec"]["ports"]} == set(ports)
    labels = template["metadata"]["labels"]
    assert labels == stateful["selector"]["matchLabels"] == found["Service"]["spec"]["selector"]
    assert template["spec"]["securityContext"]["runAsUser"] == int(re.findall(r"USER (\d+)", DOCKERFILE)[0])
    assert settings.max_memory < 1 << 30


def test_keda_scales_by_metrics_that_exist() -> None:
    (trigger,) = documents("packaging/keda.yaml")["ScaledObject"]["spec"]["triggers"]
    names = set(re.findall(r"mqfast_\w+", trigger["metadata"]["query"]))
    assert names == {QUEUE_GAUGES["pending"][0], QUEUE_GAUGES["processing"][0]}
