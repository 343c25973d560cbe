"""CLIENTS and GETDLQCOUNTS: what several connections do, seen by another."""

from __future__ import annotations

from typing import Any

from tests.tcp.client import Client
from tests.tcp.fixtures import Connect, StartDaemon
from tests.tcp.waiting import eventually


def connections(asker: Client, **fields: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = asker.ok("CLIENTS", **{"limit": 1000, **fields})["connections"]
    return rows


def test_a_waiting_pull_shows_its_queue_and_a_subscriber_what_it_is(connect: Connect, queue: str) -> None:
    asker, puller, ear = connect(), connect(), connect()
    ear.ok("SUBSCRIBE", queue=queue, events=[])
    puller.send("PULL", queue=queue, reqId="1")
    puller.send("PULL", queue=queue, reqId="2")

    def waiting() -> list[dict[str, Any]]:
        return [row for row in connections(asker) if row["waits_for"] == queue and row["waits"] == 2]

    eventually(lambda: len(waiting()) == 1, bool)
    assert waiting()[0]["kind"] == "pull" and waiting()[0]["holds"] == 0 and waiting()[0]["oldest_held"] is None
    assert any(row["kind"] == "subscribe" for row in connections(asker))
    asker.ok("PUSH", queue=queue, data=1)
    eventually(lambda: any(row["holds"] == 1 and row["waits"] == 1 for row in connections(asker)), bool)
    mine = [row for row in connections(asker) if row["holds"] == 1 and row["waits_for"] == queue]
    assert len(mine) == 1 and abs(mine[0]["oldest_held"] - mine[0]["since"]) < 60_000


def test_pages_show_each_connection_once(start_daemon: StartDaemon) -> None:
    daemon = start_daemon("--reactors", "2")
    clients = [daemon.connect() for _ in range(25)]
    for client in clients:
        client.ok("PING")
    ids: list[int] = []
    cursor = None
    while True:
        answer = clients[0].ok("CLIENTS", limit=4, **({"cursor": cursor} if cursor else {}))
        ids += [row["id"] for row in answer["connections"]]
        cursor = answer["cursor"]
        if cursor is None:
            break
        assert len(answer["connections"]) == 4
    assert ids == sorted(set(ids)) and len(ids) == 25
    clients.pop().close()
    eventually(lambda: len(connections(clients[0])) == 24, bool)
    for client in clients:
        client.close()


def test_peers_are_named_as_they_are_known(start_daemon: StartDaemon) -> None:
    daemon = start_daemon()
    client = daemon.connect()
    (peer,) = [row["peer"] for row in connections(client)]
    assert peer.startswith("127.0.0.1:") and peer != "127.0.0.1:0"
    client.close()


def test_dead_letters_are_counted_by_reason(start_daemon: StartDaemon) -> None:
    daemon = start_daemon("--max-deliveries", "1")
    client = daemon.connect()
    assert client.ok("GETDLQCOUNTS")["counts"] == {}
    for queue, count in (("a", 2), ('b"\n', 1)):
        client.ok("PUSHB", queue=queue, jobs=[{"data": n, "max_attempts": 1} for n in range(count)])
        for job in client.ok("PULLB", queue=queue, count=count)["jobs"]:
            client.ok("FAIL", id=job["id"])
    lost = daemon.connect()
    client.ok("PUSH", queue="a", data=1)
    lost.ok("PULL", queue="a")
    lost.close()
    eventually(lambda: client.ok("GETDLQCOUNTS")["counts"]["a"].get("worker_lost") == 1, bool)
    assert client.ok("GETDLQCOUNTS")["counts"] == {"a": {"failed": 2, "worker_lost": 1}, 'b"\n': {"failed": 1}}
    client.ok("RETRYDLQ", queue="a", reason="worker_lost")
    client.ok("PURGEDLQ", queue='b"\n')
    assert client.ok("GETDLQCOUNTS")["counts"] == {"a": {"failed": 2}}
    client.close()
