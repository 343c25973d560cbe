"""URLs, arguments and the environment: where the daemon is."""

from __future__ import annotations

import unittest
from typing import Any
from unittest import mock

from magicqueue import MagicQueueError, Queue, Worker
from magicqueue._address import Address, parse_url, resolve_address


class Urls(unittest.TestCase):
    def test_urls_mean_addresses(self) -> None:
        for url, address in {
            "mq://secret@example.org:7000/emails": Address("example.org", 7000, None, "secret", "emails"),
            "mq://localhost": Address("localhost", 6789),
            "mq://h/a%2Fb": Address("h", queue="a/b"),
            "mq://a%40b@h": Address("h", token="a@b"),
            "mq://[::1]:7000/q": Address("::1", 7000, queue="q"),
            "mq+unix:///run/mq.sock?queue=q&token=t": Address(unix_socket="/run/mq.sock", token="t", queue="q"),
        }.items():
            self.assertEqual(parse_url(url), address, url)

    def test_what_is_no_such_url_is_refused_without_showing_the_token(self) -> None:
        for url in ("http://secret@h", "h:1", "mq://secret@h:99999", "mq://secret@h:x", "mq+unix://"):
            with self.assertRaises(MagicQueueError) as raised:
                parse_url(url)
            self.assertNotIn("secret", str(raised.exception))

    def test_what_is_given_counts_before_the_url_and_that_before_the_environment(self) -> None:
        def resolve(**given: object) -> Address:
            none: dict[str, object] = dict.fromkeys(("host", "port", "unix_socket", "token", "url"))
            return resolve_address(**{**none, **given}, environment_url="mq://e@env:1/q")  # type: ignore[arg-type]

        self.assertEqual(resolve(), Address("env", 1, None, "e", "q"))
        self.assertEqual(resolve(host="h").host, "h")
        self.assertEqual(resolve(host="h").port, 6789)
        self.assertEqual(resolve(url="mq://u"), Address("u"))
        self.assertEqual(resolve(url="mq://t@u:5", port=6).port, 6)
        self.assertEqual(resolve(url="mq+unix:///s", host="h").unix_socket, None)

    def test_what_has_not_the_type_of_an_address_is_refused(self) -> None:
        nonsense: list[dict[str, Any]] = [
            {"host": 5},
            {"unix_socket": 2},
            {"token": b"secret"},
            {"url": 1},
            {"port": "1"},
        ]
        for given in nonsense:
            with self.assertRaises(MagicQueueError) as raised:
                Queue("q", **given)
            self.assertNotIn("secret", str(raised.exception))

    def test_queue_and_worker_of_a_url(self) -> None:
        self.assertEqual(Queue.from_url("mq://h/emails").name, "emails")
        self.assertEqual(Worker.from_url("mq://h/emails", print).name, "emails")
        with self.assertRaises(MagicQueueError):
            Queue.from_url("mq://h")

    def test_the_variable_mq_url_is_read(self) -> None:
        with mock.patch.dict("os.environ", {"MQ_URL": "mq://elsewhere:1234"}):
            self.assertEqual(Queue("q").client._connection.core.place, "elsewhere:1234")
            self.assertEqual(Queue("q", port=5).client._connection.core.place, "localhost:5")


if __name__ == "__main__":
    unittest.main()
