#include "shaping_options.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

const char fds_ns_shaping_help[] =
    "To behave like an S3 at the other end of a network (MB/s: 10^6 bytes a second; decimals are allowed):\n"
    "  --first-byte-ms MS    time from the request's last byte to the reply's first, at least\n"
    "  --jitter-ms MS        up to so much more, evenly distributed\n"
    "  --down-mb-per-s RATE  MB/s to each connection\n"
    "  --up-mb-per-s RATE    MB/s from each connection\n"
    "  --link-gbps RATE      Gbit/s (10^9 bits a second) of all connections together, in each direction\n"
    "  --max-requests-per-second N  answers 503 SlowDown above it\n"
    "  --per-prefix          ... counted apart for each bucket and prefix (the key up to its last '/')\n"
    "  --fail-percent P      answers so many of the requests with 500 InternalError, at random\n"
    "  --seed N              of everything random (default 0)\n"
    "  --idle-close-ms MS    closes a connection that has been without a request for so long\n";

static const struct {
    const char *name;
    size_t offset;
    double max;
} numbers[] = {
    {"--first-byte-ms", offsetof(fds_ns_shaping_options, first_byte_ms), 3600e3},
    {"--jitter-ms", offsetof(fds_ns_shaping_options, jitter_ms), 3600e3},
    {"--down-mb-per-s", offsetof(fds_ns_shaping_options, down_mb_per_s), 1e6},
    {"--up-mb-per-s", offsetof(fds_ns_shaping_options, up_mb_per_s), 1e6},
    {"--link-gbps", offsetof(fds_ns_shaping_options, link_gbps), 1e4},
    {"--max-requests-per-second", offsetof(fds_ns_shaping_options, max_requests_per_s), 1e9},
    {"--fail-percent", offsetof(fds_ns_shaping_options, fail_percent), 100},
    {"--seed", offsetof(fds_ns_shaping_options, seed), 1e15},
    {"--idle-close-ms", offsetof(fds_ns_shaping_options, idle_close_ms), 3600e3},
};

/* Digits with at most one point among them; strtod alone takes "inf", "0x1p3" and blanks as well. */
static bool parse_decimal(const char *text, double *value) {
    char *end;
    *value = strtod(text, &end);
    return *text && !*end && strspn(text, "0123456789.") == strlen(text);
}

bool fds_ns_shaping_option(fds_ns_shaping_options *options, const char *name, const char *value, bool *known) {
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (strcmp(name, numbers[i].name) == 0) {
            double *number = (double *)(void *)((char *)options + numbers[i].offset);
            *known = true;
            return parse_decimal(value, number) && *number <= numbers[i].max;
        }
    }
    *known = false;
    return true;
}
