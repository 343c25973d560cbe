# cython: language_level=3
"""The C engine as Python sees it. Converts and calls; every decision is in C or in Python proper. See _engine.pyi."""

import json
import os

from libc.errno cimport EPROTONOSUPPORT, errno
from libc.stdint cimport INT64_MAX, UINT32_MAX, UINT64_MAX
from libc.stdlib cimport free, malloc

from mqfast._csrc cimport *


cdef object os_error(int number):
    return OSError(number, os.strerror(number))


cdef uint64_t between(str name, object value, uint64_t low, uint64_t high) except? 0:
    if not low <= value <= high:
        raise ValueError(f"{name} must be from {low} to {high}, not {value}")
    return value


class EngineError(Exception):
    """See _engine.pyi."""


TIMEOUTS = MQ_WORK_TIMEOUTS
DEPENDENCIES = MQ_WORK_DEPENDENCIES
MEMORY = MQ_WORK_MEMORY
CRON = MQ_WORK_CRON
SNAPSHOT = MQ_WORK_SNAPSHOT
REPORT = MQ_WORK_REPORT


cdef class Grants:
    """Grants in the form that C takes, for as long as this lives."""

    cdef mq_grant *rows
    cdef const char **queues
    cdef size_t n
    cdef list kept

    def __cinit__(self, grants):
        cdef list given = [(token.encode(), int(roles), [queue.encode() for queue in queues])
                           for token, roles, queues in grants]
        cdef size_t i, at = 0
        self.kept = given
        self.n = len(given)
        self.rows = <mq_grant *> malloc((self.n + 1) * sizeof(mq_grant))
        self.queues = <const char **> malloc((sum([len(row[2]) for row in given]) + 1) * sizeof(char *))
        if self.rows == NULL or self.queues == NULL:
            raise MemoryError
        for i in range(self.n):
            token, roles, queues = given[i]
            if not token or b"\0" in token or any([b"\0" in queue for queue in queues]):
                raise ValueError("a token must not be empty, and neither it nor a queue may contain a NUL character")
            self.rows[i].token = <bytes> token
            self.rows[i].roles = between("roles", roles, 1, 15)
            self.rows[i].queues = &self.queues[at]
            self.rows[i].queue_n = len(queues)
            for queue in queues:
                self.queues[at] = <bytes> queue
                at += 1

    def __dealloc__(self):
        free(self.rows)
        free(self.queues)


cdef class Engine:
    cdef mq_engine *c
    cdef bint manual
    cdef object judge
    cdef int users  # Reactors not yet closed

    def __cinit__(self, *, grants=(), max_line=16 << 20, max_job_bytes=1 << 20, max_output=8 << 20,
                  max_deliveries=10, lease_ms=1_800_000, max_memory=0, result_ttl_ms=3_600_000,
                  result_max=100_000, max_connections=0, max_connections_per_address=0, max_batch=100_000,
                  max_parked=10_000, max_subscribers=10_000, auth_timeout_ms=10_000, line_timeout_ms=60_000,
                  manual_time_ms=None, judge=None, folder=None, fsync="always"):
        cdef mq_config config
        cdef char why[1024]
        cdef bytes path = b"" if folder is None else os.fsencode(folder)
        cdef Grants access = Grants(grants)
        self.judge = judge
        mq_config_init(&config)
        config.max_line = between("max_line", max_line, 64, 1 << 30)
        config.max_job_bytes = between("max_job_bytes", max_job_bytes, 1, 1 << 30)
        config.max_output = between("max_output", max_output, 1024, 1 << 40)
        config.max_deliveries = between("max_deliveries", max_deliveries, 1, UINT32_MAX)
        config.lease_ms = between("lease_ms", lease_ms, 1, INT64_MAX)
        config.result_ttl_ms = between("result_ttl_ms", result_ttl_ms, 0, INT64_MAX)
        config.result_max = between("result_max", result_max, 0, UINT64_MAX)
        config.max_memory = between("max_memory", max_memory, 0, UINT64_MAX)
        config.max_connections = between("max_connections", max_connections, 0, UINT32_MAX)
        config.max_connections_per_address = between("max_connections_per_address", max_connections_per_address, 0,
                                                     UINT32_MAX)
        config.max_batch = between("max_batch", max_batch, 1, 100_000)
        config.max_parked = between("max_parked", max_parked, 0, UINT32_MAX)
        config.max_subscribers = between("max_subscribers", max_subscribers, 0, UINT32_MAX)
        config.auth_timeout_ms = between("auth_timeout_ms", auth_timeout_ms, 0, INT64_MAX)
        config.line_timeout_ms = between("line_timeout_ms", line_timeout_ms, 0, INT64_MAX)
        config.version = MQ_VERSION
        config.cron = judge is not None
        config.fsync = ("always", "everysec", "none").index(fsync)
        if manual_time_ms is not None:
            config.manual_time_ms = between("manual_time_ms", manual_time_ms, 0, INT64_MAX)
            self.manual = True
        config.grants = access.rows
        config.grant_n = access.n
        if folder is not None:
            config.folder = path
        with nogil:
            self.c = mq_engine_create(&config, why, sizeof(why))
        if self.c == NULL:
            raise EngineError((<bytes> why).decode("utf-8", "replace"))

    def __dealloc__(self):
        mq_engine_free(self.c)

    cdef mq_engine *opened(self) except NULL:
        if self.c == NULL:
            raise ValueError("the engine is closed")
        return self.c

    def execute(self, bytes line not None, bytes token=None):
        cdef mq_verdict verdict
        asked, answer = self.run(line, token, NULL)
        if not asked:
            return answer
        next_run, why = self.work_out(json.loads(answer))
        verdict.next_run_ms = next_run
        verdict.why = why
        verdict.why_n = len(why)
        return self.run(line, token, &verdict)[1]

    cdef tuple run(self, bytes line, bytes token, const mq_verdict *verdict):
        """Whether a schedule must be worked out first, and the answer or the question."""
        cdef mq_engine *c = self.opened()
        cdef const char *text = line
        cdef const char *secret = NULL
        cdef size_t n = len(line), reply_n = 0, secret_n = 0
        cdef char *reply = NULL
        cdef int status
        if token is not None:
            secret = token
            secret_n = len(token)
        with nogil:
            if secret == NULL:
                status = mq_engine_execute(c, text, n, verdict, &reply, &reply_n)
            else:
                status = mq_engine_execute_as(c, secret, secret_n, text, n, verdict, &reply, &reply_n)
        if status < 0:
            raise MemoryError
        try:
            return status == 1, reply[:reply_n]
        finally:
            mq_reply_free(reply)

    def may(self, bytes token not None, str command not None):
        cdef bytes name = command.encode()
        return mq_engine_may(self.opened(), token, len(token), name)

    def set_grants(self, grants):
        cdef Grants access = Grants(grants)
        cdef mq_engine *c = self.opened()
        cdef int status
        with nogil:
            status = mq_engine_set_grants(c, access.rows, access.n)
        if status < 0:
            raise MemoryError

    def work_out(self, question):
        """The time a question asks for, or -1 and what is wrong, as the C side takes them."""
        if self.judge is None:
            return -1, b"nobody works out cron schedules here"
        try:
            return self.judge(question["schedule"], question["timezone"], question["now"]), b""
        except ValueError as error:
            return -1, str(error).encode()

    def wait(self, work):
        cdef mq_engine *c = self.opened()
        cdef mq_work kind = work
        cdef int due
        with nogil:
            due = mq_engine_wait(c, kind)
        return due == 1

    def sweep(self, work, limit):
        cdef mq_engine *c = self.opened()
        cdef mq_work kind = work
        cdef uint64_t most = limit, done
        with nogil:
            done = mq_engine_sweep(c, kind, most)
        return done

    def run_log(self):
        cdef mq_engine *c = self.opened()
        cdef int status
        with nogil:
            status = mq_engine_run_log(c)
        if status < 0:
            raise EngineError(mq_engine_log_error(c).decode("utf-8", "replace"))

    @property
    def log_cut(self):
        return mq_engine_log_cut(self.opened())

    def stop_log(self):
        mq_engine_stop_log(self.opened())

    def snapshot(self):
        cdef mq_engine *c = self.opened()
        cdef int status
        with nogil:
            status = mq_engine_snapshot(c)
        if status < 0:
            raise os_error(-status)

    def stop_waiting(self):
        mq_engine_stop_waiting(self.opened())

    def take_control(self):
        cdef mq_engine *c = self.opened()
        cdef char *text = NULL
        cdef size_t n = 0
        cdef int status
        with nogil:
            status = mq_engine_take_control(c, &text, &n)
        if status < 0:
            raise MemoryError
        try:
            return text[:n]
        finally:
            mq_reply_free(text)

    def answer(self, question):
        cdef mq_engine *c = self.opened()
        cdef mq_verdict verdict
        next_run, why = self.work_out(question)
        verdict.next_run_ms = next_run
        verdict.why = why
        verdict.why_n = len(why)
        return mq_engine_answer(c, question["token"], &verdict) == 1

    def fire(self, str name not None, slot_ms, next_run_ms, bint push):
        cdef mq_engine *c = self.opened()
        cdef bytes text = name.encode()
        cdef const char *p = text
        cdef size_t n = len(text)
        cdef int64_t slot = slot_ms, next_run = INT64_MAX if next_run_ms is None else next_run_ms
        cdef int status
        with nogil:
            status = mq_engine_fire(c, p, n, slot, next_run, push)
        return status == 1

    def tick(self):
        cdef mq_engine *c = self.opened()
        cdef int64_t next_ms
        with nogil:
            next_ms = mq_engine_tick(c)
        return None if next_ms == INT64_MAX else next_ms

    def set_time(self, now_ms):
        cdef mq_engine *c = self.opened()
        cdef int64_t now = between("now_ms", now_ms, 0, INT64_MAX)
        if not self.manual:
            raise ValueError("the engine runs on the system's clock: make it with manual_time_ms to set the time")
        with nogil:
            mq_engine_set_time(c, now)

    def check(self):
        cdef mq_engine *c = self.opened()
        with nogil:
            mq_engine_check(c)

    def close(self):
        if self.users:
            raise ValueError("close the reactors first")
        mq_engine_free(self.c)
        self.c = NULL


TROUBLES = ("connections", "address", "descriptors", "token", "token_late", "line_late")  # enum mq_trouble
assert len(TROUBLES) == MQ_TROUBLES


cdef class Reactors:
    cdef mq_net *c
    cdef Engine engine
    cdef unsigned count
    cdef int running  # threads in run()

    def __cinit__(self, Engine engine not None, count):
        self.count = between("count", count, 1, 64)
        self.c = mq_net_create(engine.opened(), self.count)
        if self.c == NULL:
            raise os_error(errno)
        self.engine = engine  # which must outlive this
        engine.users += 1

    def __dealloc__(self):
        mq_net_free(self.c)

    cdef mq_net *opened(self) except NULL:
        if self.c == NULL:
            raise ValueError("the reactors are closed")
        return self.c

    def listen(self, int fd, bint tls=False):
        cdef int status = mq_net_listen(self.opened(), fd, tls)
        if status < 0:
            raise os_error(-status)

    def use_tls(self, certificate, key):
        cdef bytes certificate_file = os.fsencode(certificate), key_file = os.fsencode(key)
        cdef char why[1024]
        if mq_net_use_tls(self.opened(), certificate_file, key_file, why, sizeof(why)) < 0:
            raise EngineError((<bytes> why).decode("utf-8", "replace"))

    def connect(self):
        cdef mq_net *c = self.opened()
        cdef int fd
        with nogil:
            fd = mq_net_connect(c)
        if fd < 0:
            raise os_error(-fd)
        return fd

    def must_wait_ms(self, str peer not None):
        cdef bytes text = peer.encode()
        return mq_net_must_wait(self.opened(), text)

    def wrong_token(self, str peer not None):
        cdef bytes text = peer.encode()
        mq_net_wrong_token(self.opened(), text)

    def take_report(self):
        cdef mq_report report
        cdef int i
        mq_net_take_report(self.opened(), &report)
        return {name: (report.count[i], report.peer[i].decode("utf-8", "replace"))
                for i, name in enumerate(TROUBLES) if report.count[i]}

    def run(self, unsigned index):
        cdef mq_net *c = self.opened()
        cdef int status
        if index >= self.count:
            raise ValueError(f"index must be from 0 to {self.count - 1}, not {index}")
        self.running += 1
        with nogil:
            status = mq_net_run(c, index)
        self.running -= 1
        if status < 0:
            raise os_error(-status)

    def stop(self, bint force=False):
        cdef mq_net *c = self.opened()
        with nogil:
            mq_net_stop(c, force)

    def close(self):
        if self.running:
            raise ValueError("stop the reactors first")
        mq_net_free(self.c)
        self.c = NULL
        if self.engine is not None:
            self.engine.users -= 1
            self.engine = None

    @property
    def connections(self):
        return mq_net_connections(self.c) if self.c != NULL else 0


cdef void _note_stretch(void *context, const mq_log_stretch *s) noexcept with gil:
    (<list> context).append((s.offset, s.bytes, s.first, s.last, s.records, s.chain_before, s.chain_after,
                             s.durable, bool(s.ends_snapshot)))


def scan_log(path):
    cdef bytes name = os.fsencode(path)
    cdef list found = []
    cdef uint64_t size = 0
    cdef int status = mq_log_scan(name, &size, _note_stretch, <void *> found)
    if status == -EPROTONOSUPPORT:
        raise EngineError(f"{path} is in a format that this version cannot read: use the version that wrote it")
    if status < 0:
        raise OSError(-status, os.strerror(-status), path)
    return size, found


def _names(uint64_t mask):
    cdef size_t row = 0
    found = []
    while mq_field_info_row(row) != NULL:
        if mask >> row & 1:
            found.append(mq_field_info_row(row).snake.decode())
        row += 1
    return tuple(found)


def tables():
    cdef size_t row = 0
    cdef const mq_field_info *field = mq_field_info_row(0)
    cdef const mq_command_info *command = mq_command_info_row(0)
    cdef const mq_error_info *error = mq_error_info_row(0)
    fields, commands, errors = [], [], []
    while field != NULL:
        fields.append((field.snake.decode(), field.camel.decode(), field.type.decode(), field.minimum, field.maximum,
                       field.doc.decode()))
        row += 1
        field = mq_field_info_row(row)
    row = 0
    while command != NULL:
        commands.append((command.name.decode(), command.plane.decode(), _names(command.required),
                         _names(command.optional), command.result.decode(), command.http_method.decode(),
                         command.http_path.decode(), command.doc.decode()))
        row += 1
        command = mq_command_info_row(row)
    row = 0
    while error != NULL:
        errors.append((error.code.decode(), error.text.decode(), error.number, error.http_status,
                       bool(error.retryable)))
        row += 1
        error = mq_error_info_row(row)
    return fields, commands, errors
