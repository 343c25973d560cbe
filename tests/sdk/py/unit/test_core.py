"""The protocol without a socket: correlation, resending, retries, silence."""

from __future__ import annotations

import unittest
from decimal import Decimal

import magicqueue
from magicqueue import (
    REFUSALS,
    ConfigurationError,
    ConnectionLostError,
    ConnectionOptions,
    DuplicateError,
    NotConnectedError,
    WaitTimeoutError,
)
from magicqueue._commands import COMMANDS
from magicqueue._core import Backoff, BadLine, Core, Entry, decode_json, encode_json
from magicqueue._resending import ALWAYS, NEVER, WITH_TOKEN, WITH_TOKENS, may_resend
from tests.sdk.py.unit.lines import open_core, put, sent


class Correlation(unittest.TestCase):
    def test_answers_go_to_requests_in_order(self) -> None:
        core = open_core()
        entries = [Entry('{"cmd":"PING"}') for _ in range(3)]
        for entry in entries:
            core.submit(entry, 0.0)
        self.assertEqual(len(sent(core)), 3)
        for number in range(3):
            put(core, ok=True, n=number)
        self.assertEqual([entry.result()["n"] for entry in entries], [0, 1, 2])

    def test_a_parked_request_holds_back_none(self) -> None:
        core = open_core()
        pull, ping = Entry('{"cmd":"PULL","queue":"q"}', parks=True), Entry('{"cmd":"PING"}')
        core.submit(pull, 0.0)
        core.submit(ping, 0.0)
        request_id = sent(core)[0]["reqId"]
        put(core, ok=True, pong=True)
        self.assertTrue(ping.is_settled)
        self.assertFalse(pull.is_settled)
        put(core, ok=True, job=None, reqId=request_id)
        self.assertEqual(pull.result(), {"ok": True, "job": None})

    def test_lines_may_be_cut_anywhere(self) -> None:
        line = encode_json({"ok": True, "text": "é" * 50}).encode() + b"\n"
        for size in (1, 2, 3, 7, 1000):
            core = open_core()
            entries = [Entry('{"cmd":"PING"}') for _ in range(2)]
            for entry in entries:
                core.submit(entry, 0.0)
            stream = line * 2
            for start in range(0, len(stream), size):
                core.receive(stream[start : start + size], 0.0)
            self.assertEqual([entry.result()["text"] for entry in entries], ["é" * 50] * 2)

    def test_what_is_no_answer_ends_the_connection(self) -> None:
        for line in (b"nonsense\n", b"[1]\n", b'{"ok":true}\n'):
            with self.assertRaises(BadLine):
                open_core().receive(line, 0.0)

    def test_a_token_is_given_before_anything_else(self) -> None:
        core = Core("here", ConnectionOptions(), "secret")
        core.start()
        ping = Entry('{"cmd":"PING"}')
        core.submit(ping, 0.0)
        greeting = core.opened(0.0)
        assert greeting is not None
        self.assertEqual(sent(core), [{"cmd": "AUTH", "token": "secret"}])
        put(core, ok=True)
        greeting.result()
        core.ready(0.0)
        self.assertEqual(sent(core), [{"cmd": "PING"}])

    def test_a_token_that_is_not_answered_ends_the_connection_in_time(self) -> None:
        core = Core("here", ConnectionOptions(connect_timeout_s=3.0), "secret")
        core.start()
        core.opened(1.0)
        self.assertEqual(core.next_due(), 4.0)
        core.tick(3.9)
        with self.assertRaisesRegex(BadLine, "no answer for 3 s"):
            core.tick(4.0)

    def test_what_is_no_daemon_of_this_protocol_is_told_by_its_first_bytes(self) -> None:
        for chunks, text in (
            ((b"\x15", b"\x03\x01\x00\x02\x02\x46"), "this port speaks TLS"),
            ((b"HTTP/1.", b"0 400 Bad Request\r\n"), "this is an HTTP port"),
        ):
            core = open_core()
            with self.assertRaisesRegex(ConfigurationError, text):
                for chunk in chunks:
                    core.receive(chunk, 0.0)

    def test_bytes_of_a_line_may_be_any(self) -> None:
        core = open_core()
        core.submit(Entry('{"cmd":"PING"}'), 0.0)
        core.receive(b'{"ok":true,"text":"', 0.0)
        core.receive(b"\x15", 0.0)
        with self.assertRaises(BadLine):
            core.receive(b'"}\n', 0.0)


class Json(unittest.TestCase):
    def test_text_goes_as_utf8_and_half_a_pair_as_an_escape(self) -> None:
        self.assertEqual(encode_json({"a": "é"}), '{"a":"é"}')
        self.assertEqual(encode_json(["é", "\ud800"]), '["\\u00e9","\\ud800"]')
        for value in (float("inf"), object(), {1, 2}):
            with self.assertRaises((TypeError, ValueError)):
                encode_json(value)

    def test_a_number_of_more_digits_than_an_int_may_have_is_read_all_the_same(self) -> None:
        digits = "9" * 5000
        read = decode_json(f'{{"data":[{digits},1,1.5]}}'.encode())
        self.assertEqual([str(value) for value in read["data"][1:]], ["1", "1.5"])
        self.assertEqual(Decimal(read["data"][0]), Decimal(digits))
        with self.assertRaises(ValueError):
            decode_json(b"{")


class Errors(unittest.TestCase):
    def test_the_class_of_each_code_can_be_imported(self) -> None:
        for code, refused in REFUSALS.items():
            self.assertIn(refused.__name__, magicqueue.__all__, code)
            self.assertIs(getattr(magicqueue, refused.__name__), refused)


class Losing(unittest.TestCase):
    def test_what_may_be_sent_again_is_and_the_rest_ends_as_maybe_done(self) -> None:
        core = open_core()
        push, pull = Entry('{"cmd":"PUSH"}'), Entry('{"cmd":"PULL"}', parks=True, resend=True)
        core.submit(push, 0.0)
        core.submit(pull, 0.0)
        sent(core)
        core.lost("gone", 1.0)
        assert isinstance(push.error, ConnectionLostError)
        self.assertTrue(push.error.maybe_done)
        self.assertFalse(pull.is_settled)
        core.opened(2.0)
        self.assertEqual([row["cmd"] for row in sent(core)], ["PULL"])

    def test_a_request_made_while_away_was_never_sent(self) -> None:
        core = open_core(offline_timeout_s=3.0)
        core.lost("gone", 1.0)
        push = Entry('{"cmd":"PUSH"}')
        core.submit(push, 2.0)
        self.assertEqual(core.next_due(), 5.0)
        core.tick(4.9)
        self.assertFalse(push.is_settled)
        core.tick(5.0)
        assert isinstance(push.error, ConnectionLostError)
        self.assertFalse(push.error.maybe_done)

    def test_giving_up_says_of_each_request_whether_it_was_sent(self) -> None:
        core = open_core()
        sent_before, new = Entry('{"cmd":"PING"}', resend=True), Entry('{"cmd":"PING"}')
        core.submit(sent_before, 0.0)
        sent(core)
        core.lost("gone", 1.0)
        core.submit(new, 1.0)
        core.give_up(ConfigurationError("wrong"))
        for entry, expected in ((sent_before, True), (new, False)):
            assert isinstance(entry.error, ConfigurationError)
            self.assertEqual(entry.error.maybe_done, expected)
        self.assertTrue(core.is_closed)

    def test_a_patient_request_waits_for_ever(self) -> None:
        core = open_core()
        core.lost("gone", 1.0)
        pull = Entry('{"cmd":"PULL"}', parks=True, patient=True)
        core.submit(pull, 1.0)
        core.tick(1e9)
        self.assertFalse(pull.is_settled)

    def test_a_refusal_after_a_resend_says_that_the_first_sending_may_count(self) -> None:
        core = open_core()
        push = Entry('{"cmd":"PUSH"}', resend=True)
        core.submit(push, 0.0)
        core.lost("gone", 1.0)
        core.opened(2.0)
        put(core, ok=False, error="Duplicate job", code="duplicate", retryable=False)
        assert isinstance(push.error, DuplicateError)
        self.assertTrue(push.error.maybe_done)

    def test_a_closed_client_refuses_requests(self) -> None:
        core = Core("here", ConnectionOptions())
        entry = Entry('{"cmd":"PING"}')
        core.submit(entry, 0.0)
        self.assertIsInstance(entry.error, NotConnectedError)


class Retrying(unittest.TestCase):
    def test_a_retryable_refusal_is_sent_again_so_often(self) -> None:
        core = open_core(retry=Backoff(1.0, 1.0, attempts=2))
        push = Entry('{"cmd":"PUSH"}')
        core.submit(push, 0.0)
        for number in range(3):
            self.assertEqual(len(sent(core)), 1)
            put(core, ok=False, error="Storage full", code="storage_full", retryable=True)
            self.assertEqual(push.is_settled, number == 2)
            core.tick(10.0 * (number + 1))
        self.assertEqual(sent(core), [])

    def test_a_timeout_and_other_refusals_are_final(self) -> None:
        core = open_core()
        entry = Entry('{"cmd":"WAITJOB"}')
        core.submit(entry, 0.0)
        put(core, ok=False, error="Timeout waiting", code="timeout", retryable=True)
        self.assertIsInstance(entry.error, WaitTimeoutError)
        self.assertIsInstance(entry.error, TimeoutError)

    def test_waits_grow_with_full_jitter_up_to_the_cap(self) -> None:
        backoff = Backoff(0.05, 5.0)
        for failures in (0, 3, 10, 10_000):
            most = min(5.0, 0.05 * 2.0 ** min(failures, 60))
            waits = [backoff.wait_s(failures) for _ in range(500)]
            self.assertLessEqual(max(waits), most)
            self.assertGreater(max(waits), most * 0.8)
            self.assertLess(min(waits), most * 0.2)


class Silence(unittest.TestCase):
    def test_a_silent_daemon_is_asked_then_given_up(self) -> None:
        core = open_core(ping_interval_s=10.0)
        core.submit(Entry('{"cmd":"PULL"}', parks=True), 0.0)
        sent(core)
        core.tick(9.0)
        self.assertEqual(sent(core), [])
        core.tick(10.0)
        self.assertEqual(sent(core), [{"cmd": "PING"}])
        with self.assertRaises(BadLine):
            core.tick(20.0)

    def test_who_listens_for_events_notices_a_dead_connection_too(self) -> None:
        core = open_core(ping_interval_s=10.0)
        core.tick(100.0)
        self.assertEqual(sent(core), [])
        core.is_listening = True
        core.tick(100.0)
        self.assertEqual(sent(core), [{"cmd": "PING"}])
        self.assertEqual(core.next_due(), 110.0)
        with self.assertRaises(BadLine):
            core.tick(110.0)

    def test_a_sign_of_life_is_enough(self) -> None:
        core = open_core(ping_interval_s=10.0)
        core.submit(Entry('{"cmd":"PULL"}', parks=True), 0.0)
        core.tick(10.0)
        put(core, 11.0, ok=True, pong=True)
        core.tick(20.0)
        self.assertEqual(core.next_due(), 21.0)


class Resending(unittest.TestCase):
    def test_every_command_has_a_rule(self) -> None:
        rules = ALWAYS | NEVER | WITH_TOKEN | WITH_TOKENS | {"PUSH", "RELEASE"}
        self.assertEqual(set(COMMANDS), rules)

    def test_nothing_is_pushed_or_destroyed_twice_silently(self) -> None:
        for request in (
            {"cmd": "PUSH", "unique_key": None},
            {"cmd": "push"},
            {"cmd": "PUSHB"},
            {"cmd": "CANCEL"},
            {"cmd": "RETRYDLQ"},
            {"cmd": "CRONRUN"},
            {"cmd": "ACK", "id": 1},
            {"cmd": "ACKB", "ids": [1, 2], "tokens": ["a"]},
            {"cmd": "ACKB", "ids": [1], "tokens": [None]},
            {"cmd": "RELEASE", "ids": [1]},
            {"cmd": "NOVELTY"},
            {},
        ):
            self.assertFalse(may_resend(request), request)

    def test_what_is_harmless_twice_is_sent_again(self) -> None:
        for request in (
            {"cmd": "PUSH", "unique_key": "k"},
            {"cmd": "push", "uniqueKey": "k"},
            {"cmd": "PULLB"},
            {"cmd": "ACK", "id": 1, "token": "t"},
            {"cmd": "ACKB", "ids": [1], "tokens": ["a"]},
            {"cmd": "RELEASE", "ids": [1], "tokens": ["a"]},
        ):
            self.assertTrue(may_resend(request), request)


if __name__ == "__main__":
    unittest.main()
