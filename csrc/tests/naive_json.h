/* JSON read the slow and obvious way: what the scanner is compared with, and how tests look into answers. */
#ifndef MQ_NAIVE_JSON_H
#define MQ_NAIVE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The byte after the value at p, or NULL. No white space before it; a newline is no white space, since lines end there. */
const char *naive_json_end(const char *p, const char *end, unsigned max_depth);
/* The byte after the UTF-8 character at p, or NULL. */
const char *naive_utf8_end(const unsigned char *p, const unsigned char *end);

/* A place in an answer: "job.id", "jobs.0.token". The text of the value as it stands there. False if there is none. */
bool answer_find(const char *answer, const char *path, const char **value, size_t *n);
bool answer_has(const char *answer, const char *path);
/* True if the text there is this, quotes included. */
bool answer_is(const char *answer, const char *path, const char *text);
/* A string without escapes, or the text of anything else; "" if there is none. Overwritten by the next calls. */
const char *answer_text(const char *answer, const char *path);
int64_t answer_number(const char *answer, const char *path);
/* Elements of the list there. */
size_t answer_count(const char *answer, const char *path);

#endif
