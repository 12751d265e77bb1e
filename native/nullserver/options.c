#include "options.h"

#include "text.h"

#include <stdio.h>

#define THREADS_MAX 64
#define REPORT_MS_MAX (3600 * 1000)

static const char help[] =
    "fds-nullserver: an S3 server that costs next to nothing, to measure S3 clients against\n"
    "\n"
    "  fds-nullserver --mode fixed|sink|store [options]\n"
    "\n"
    "  --mode fixed          GET and HEAD of any /bucket/key answer a pattern; the size is the number after the\n"
    "                        key's last '.' (\"obj-17.16384\"), else --object-size\n"
    "  --mode sink           PUT and multipart uploads are received, their checksums verified, their bytes dropped\n"
    "  --mode store          buckets and objects are kept in memory\n"
    "  --host ADDRESS        numeric address to listen on; loopback only (default 127.0.0.1)\n"
    "  --port PORT           0 picks a free one (default 0)\n"
    "  --object-size BYTES   mode fixed (default 1073741824)\n"
    "  --memory-limit BYTES  what uploads and objects may hold together (default 4294967296)\n"
    "  --part-min BYTES      of every part of an upload but its last (default 5242880, as S3 wants it)\n"
    "  --opaque-etags        mode store: ETags are no MD5s, as in the other modes: those cost 2 core-s/GB\n"
    "  --cert FILE --key FILE  serve TLS with this PEM certificate chain and key\n"
    "  --threads N           event loops (default 1)\n"
    "  --report-ms N         every N ms print \"moved TIME SENT RECEIVED\": seconds of the monotonic clock, bytes of\n"
    "                        bodies so far\n"
    "  --exit-with-stdin     exit when stdin reaches its end, so as not to outlive the parent process\n"
    "  --allow-any-address   let --host be other than loopback\n"
    "  --help\n"
    "\n";

static const char help_end[] =
    "\n"
    "Prints one line, \"listening ADDRESS:PORT\", when it is ready; SIGTERM and SIGINT end it.\n"
    "Path-style addressing only. SIGNATURES ARE NOT VERIFIED: a request needs to carry one, any one will do. So this\n"
    "server protects nothing and is for tests and measurements on one machine.\n";

static fds_ns_options_result bad(const char *format, const char *what) {
    fputs("fds-nullserver: ", stderr);
    fprintf(stderr, format, what);
    fputs(" (see --help)\n", stderr);
    return FDS_NS_OPTIONS_BAD;
}

static bool parse_mode(const char *value, fds_ns_mode *mode) {
    static const char *const names[] = {"fixed", "sink", "store"};
    for (int i = 0; i < 3; i++) {
        if (strcmp(value, names[i]) == 0) {
            *mode = (fds_ns_mode)i;
            return true;
        }
    }
    return false;
}

/* Applies "--name value"; false when the value can't be used, `*known` false when the name isn't one. */
static bool apply(fds_ns_options *options, const char *name, const char *value, bool *mode_given, bool *known) {
    uint64_t number = 0;
    bool numeric = fds_ns_text_number(fds_ns_text_of(value), &number);
    *known = true;
    if (strcmp(name, "--mode") == 0)
        return *mode_given = parse_mode(value, &options->mode);
    if (strcmp(name, "--host") == 0)
        options->host = value;
    else if (strcmp(name, "--cert") == 0)
        options->certificate = value;
    else if (strcmp(name, "--key") == 0)
        options->key = value;
    else if (strcmp(name, "--port") == 0) {
        options->port = (uint16_t)number;
        return numeric && number <= 65535;
    } else if (strcmp(name, "--object-size") == 0) {
        options->object_size = number;
        return numeric && number <= 5ULL << 40; /* S3's largest object */
    } else if (strcmp(name, "--memory-limit") == 0) {
        options->memory_limit = number;
        return numeric;
    } else if (strcmp(name, "--report-ms") == 0) {
        options->report_ms = number;
        return numeric && number >= 1 && number <= REPORT_MS_MAX;
    } else if (strcmp(name, "--part-min") == 0) {
        options->part_min = number;
        return numeric;
    } else if (strcmp(name, "--threads") == 0) {
        options->threads = (int)number;
        return numeric && number >= 1 && number <= THREADS_MAX;
    } else {
        return fds_ns_shaping_option(&options->shaping, name, value, known);
    }
    return true;
}

static bool apply_flag(fds_ns_options *options, const char *name) {
    bool *flag = strcmp(name, "--exit-with-stdin") == 0     ? &options->exit_with_stdin
                 : strcmp(name, "--allow-any-address") == 0 ? &options->allow_any_address
                 : strcmp(name, "--opaque-etags") == 0      ? &options->opaque_etags
                 : strcmp(name, "--per-prefix") == 0        ? &options->shaping.per_prefix
                                                            : NULL;
    if (flag)
        *flag = true;
    return flag != NULL;
}

fds_ns_options_result fds_ns_options_parse(int argc, char **argv, fds_ns_options *options) {
    *options = (fds_ns_options){
        .host = "127.0.0.1",
        .object_size = 1ULL << 30,
        .memory_limit = 4ULL << 30,
        .part_min = 5ULL << 20,
        .threads = 1,
    };
    bool mode_given = false;
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i];
        if (strcmp(name, "--help") == 0) {
            printf("%s%s%s", help, fds_ns_shaping_help, help_end);
            return FDS_NS_OPTIONS_HELP;
        }
        if (apply_flag(options, name))
            continue;
        bool known, good = apply(options, name, i + 1 < argc ? argv[i + 1] : "", &mode_given, &known);
        if (!known)
            return bad("there is no option '%s'", name);
        if (i + 1 == argc)
            return bad("%s needs a value", name);
        if (!good) {
            fprintf(stderr, "fds-nullserver: '%s' is no value for %s (see --help)\n", argv[i + 1], name);
            return FDS_NS_OPTIONS_BAD;
        }
        i++;
    }
    if (!mode_given)
        return bad("%s is required: fixed, sink or store", "--mode");
    if (!options->certificate != !options->key)
        return bad("--cert and --key go together, %s is missing", options->key ? "--cert" : "--key");
    return FDS_NS_OPTIONS_OK;
}
