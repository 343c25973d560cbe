"""The public C API, csrc/include/mqfast.h: all that Python knows of the C library."""

from libc.stdint cimport int64_t, uint32_t, uint64_t


cdef extern from "mqfast.h" nogil:
    ctypedef struct mq_engine
    ctypedef struct mq_net

    struct mq_grant:
        const char *token
        unsigned roles
        const char *const *queues
        size_t queue_n

    struct mq_config:
        const mq_grant *grants
        size_t grant_n
        size_t max_line
        size_t max_job_bytes
        size_t max_output
        size_t max_memory
        size_t max_connections
        size_t max_connections_per_address
        size_t max_batch
        size_t max_parked
        size_t max_subscribers
        uint64_t auth_timeout_ms
        uint64_t line_timeout_ms
        uint32_t max_deliveries
        uint64_t result_ttl_ms
        uint64_t result_max
        int cron
        const char *folder
        int fsync
        uint64_t lease_ms
        int64_t manual_time_ms
        uint64_t seed
        const char *version

    void mq_config_init(mq_config *config)
    mq_engine *mq_engine_create(const mq_config *config, char *why, size_t why_n)
    void mq_engine_free(mq_engine *engine)
    struct mq_verdict:
        int64_t next_run_ms
        const char *why
        size_t why_n

    int mq_engine_execute(mq_engine *engine, const char *line, size_t line_n, const mq_verdict *verdict, char **reply,
                          size_t *reply_n)
    int mq_engine_execute_as(mq_engine *engine, const char *token, size_t token_n, const char *line, size_t line_n,
                             const mq_verdict *verdict, char **reply, size_t *reply_n)
    int mq_engine_may(mq_engine *engine, const char *token, size_t token_n, const char *command)
    int mq_engine_set_grants(mq_engine *engine, const mq_grant *grants, size_t grant_n)
    void mq_reply_free(char *reply)
    void mq_engine_set_time(mq_engine *engine, int64_t now_ms)
    int64_t mq_engine_tick(mq_engine *engine)
    void mq_engine_check(mq_engine *engine)

    enum mq_work:
        MQ_WORK_TIMEOUTS
        MQ_WORK_DEPENDENCIES
        MQ_WORK_MEMORY
        MQ_WORK_CRON
        MQ_WORK_SNAPSHOT
        MQ_WORK_REPORT

    int mq_engine_wait(mq_engine *engine, mq_work work)
    uint64_t mq_engine_sweep(mq_engine *engine, mq_work work, uint64_t limit)
    void mq_engine_stop_waiting(mq_engine *engine)
    int mq_engine_run_log(mq_engine *engine)
    void mq_engine_stop_log(mq_engine *engine)
    const char *mq_engine_log_error(const mq_engine *engine)
    uint64_t mq_engine_log_cut(const mq_engine *engine)
    int mq_engine_snapshot(mq_engine *engine)
    int mq_engine_take_control(mq_engine *engine, char **text, size_t *text_n)
    int mq_engine_answer(mq_engine *engine, uint64_t token, const mq_verdict *verdict)
    int mq_engine_fire(mq_engine *engine, const char *name, size_t name_n, int64_t slot_ms, int64_t next_run_ms, int push)

    struct mq_log_stretch:
        uint64_t offset
        uint64_t bytes
        uint64_t first
        uint64_t last
        uint64_t records
        uint32_t chain_before
        uint32_t chain_after
        uint64_t durable
        int ends_snapshot

    ctypedef void mq_log_visit_stretch(void *context, const mq_log_stretch *stretch) noexcept
    int mq_log_scan(const char *path, uint64_t *size, mq_log_visit_stretch *visit, void *context)

    mq_net *mq_net_create(mq_engine *engine, unsigned reactors)
    void mq_net_free(mq_net *net)
    int mq_net_listen(mq_net *net, int fd, int tls)
    int mq_net_use_tls(mq_net *net, const char *certificate, const char *key, char *why, size_t why_n)
    int mq_net_connect(mq_net *net)
    int mq_net_run(mq_net *net, unsigned index)
    void mq_net_stop(mq_net *net, int force)
    size_t mq_net_connections(const mq_net *net)

    struct mq_report:
        uint64_t count[6]
        char peer[6][72]

    enum mq_trouble:
        MQ_TROUBLES

    int64_t mq_net_must_wait(mq_net *net, const char *peer)
    void mq_net_wrong_token(mq_net *net, const char *peer)
    void mq_net_take_report(mq_net *net, mq_report *report)

    struct mq_field_info:
        const char *id
        const char *snake
        const char *camel
        const char *type
        const char *doc
        int64_t minimum
        uint64_t maximum

    struct mq_command_info:
        const char *name
        const char *plane
        const char *result
        const char *http_method
        const char *http_path
        const char *doc
        uint64_t required
        uint64_t optional

    struct mq_error_info:
        const char *code
        const char *text
        int number
        int http_status
        int retryable

    const mq_field_info *mq_field_info_row "mq_field_info"(size_t row)
    const mq_command_info *mq_command_info_row "mq_command_info"(size_t row)
    const mq_error_info *mq_error_info_row "mq_error_info"(size_t row)


cdef extern from *:
    const char *MQ_VERSION
