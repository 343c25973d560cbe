/* The scanner once more without its vector instructions, under other names, so that one test can set the two side by side. */
#undef __SSE2__
#define mq_json_scan portable_json_scan
#define mq_json_scan_string portable_json_scan_string
#define mq_json_decode portable_json_decode
#define mq_json_integer portable_json_integer
#include "wire/json.c"
