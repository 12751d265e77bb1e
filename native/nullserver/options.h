/* The command line. */
#ifndef FDS_NS_OPTIONS_H
#define FDS_NS_OPTIONS_H

#include "shaping_options.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum {
    FDS_NS_FIXED,
    FDS_NS_SINK,
    FDS_NS_STORE,
} fds_ns_mode;

typedef struct {
    fds_ns_mode mode;
    const char *host;
    uint16_t port;
    uint64_t object_size;    /* bytes */
    uint64_t memory_limit;   /* bytes */
    uint64_t part_min;       /* bytes of every part but the last */
    const char *certificate; /* PEM files; NULL: plain HTTP */
    const char *key;
    int threads;
    uint64_t report_ms; /* 0: no reports */
    bool allow_any_address;
    bool opaque_etags;
    bool exit_with_stdin;
    fds_ns_shaping_options shaping;
} fds_ns_options;

typedef enum {
    FDS_NS_OPTIONS_OK,
    FDS_NS_OPTIONS_HELP, /* asked for, and printed to stdout */
    FDS_NS_OPTIONS_BAD,  /* one sentence was printed to stderr */
} fds_ns_options_result;

/* Strings in `options` point into argv. */
fds_ns_options_result fds_ns_options_parse(int argc, char **argv, fds_ns_options *options);

#endif
