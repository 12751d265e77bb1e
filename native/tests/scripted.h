/* A small TCP server for tests that plays scripts: what a real server does only on a bad day.
 *
 * Each accepted connection gets a thread and plays one script, the n-th connection the n-th, later ones the last.
 * Steps are played in order; the end of the array, or a peer that goes away, closes the connection. What the peer
 * sends is counted and its bodies' CRC taken. Plain sockets on 127.0.0.1 at a port of the system's choice, or TLS.
 */
#ifndef FDS_TESTS_SCRIPTED_H
#define FDS_TESTS_SCRIPTED_H

#include <openssl/ssl.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    SCRIPTED_END, /* closes */
    SCRIPTED_READ_HEAD,
    SCRIPTED_READ_BODY,  /* as long as the last head's content-length */
    SCRIPTED_READ_SOME,  /* `n` bytes of the body */
    SCRIPTED_SEND,       /* `size` bytes of `data`, in pieces of `n`, each a segment of its own; 0: at once */
    SCRIPTED_PAUSE,      /* `n` ms */
    SCRIPTED_GATE,       /* until scripted_open_gate */
    SCRIPTED_HANG,       /* never answers, reads nothing; until scripted_stop */
    SCRIPTED_WAIT_CLOSE, /* reads until the peer closes: counted in peers_gone */
    SCRIPTED_HALF_CLOSE, /* sends its FIN */
    SCRIPTED_RESET,      /* closes with RST */
    SCRIPTED_AGAIN,      /* from the first step: keep-alive */
} scripted_kind;

typedef struct {
    scripted_kind kind;
    const void *data;
    size_t size;
    size_t n;
} scripted_step;

#define READ_HEAD                                                                                                      \
    { .kind = SCRIPTED_READ_HEAD }
#define READ_BODY                                                                                                      \
    { .kind = SCRIPTED_READ_BODY }
#define READ_REQUEST READ_HEAD, READ_BODY
#define READ_SOME(bytes)                                                                                               \
    { .kind = SCRIPTED_READ_SOME, .n = (bytes) }
#define SEND(literal)                                                                                                  \
    { .kind = SCRIPTED_SEND, .data = (literal), .size = sizeof(literal) - 1 }
#define SEND_DATA(bytes, count)                                                                                        \
    { .kind = SCRIPTED_SEND, .data = (bytes), .size = (count) }
#define SEND_SLICED(bytes, count, slice)                                                                               \
    { .kind = SCRIPTED_SEND, .data = (bytes), .size = (count), .n = (slice) }
#define PAUSE(milliseconds)                                                                                            \
    { .kind = SCRIPTED_PAUSE, .n = (milliseconds) }
#define GATE                                                                                                           \
    { .kind = SCRIPTED_GATE }
#define HANG                                                                                                           \
    { .kind = SCRIPTED_HANG }
#define WAIT_CLOSE                                                                                                     \
    { .kind = SCRIPTED_WAIT_CLOSE }
#define HALF_CLOSE                                                                                                     \
    { .kind = SCRIPTED_HALF_CLOSE }
#define RESET                                                                                                          \
    { .kind = SCRIPTED_RESET }
#define AGAIN                                                                                                          \
    { .kind = SCRIPTED_AGAIN }
#define END                                                                                                            \
    { .kind = SCRIPTED_END }

typedef struct {
    int accepted;          /* connections */
    int requests;          /* whole heads */
    int peers_gone;        /* seen by WAIT_CLOSE */
    uint64_t body_bytes;   /* of all requests */
    uint64_t body_crc;     /* CRC-32C of them, in the order of arrival */
    char last_head[16384]; /* of the request that came last, NUL-terminated */
} scripted_record;

typedef struct scripted scripted;

/* The scripts outlive the server, and each ends with END, AGAIN or RESET. `tls` (NULL: none) stays the caller's.
 * Aborts the program when the system has no port or thread for it. */
scripted *scripted_start(const scripted_step *const *scripts, size_t count, SSL_CTX *tls);
scripted *scripted_play(const scripted_step *script); /* one script for all connections, no TLS */
uint16_t scripted_port(const scripted *server);
void scripted_open_gate(scripted *server); /* for every connection, for good */
scripted_record scripted_look(scripted *server);
/* Waits up to 10 s until the member is at least `least`; returns whether it is. */
int scripted_wait_requests(scripted *server, int least);
int scripted_wait_peers_gone(scripted *server, int least);
void scripted_stop(scripted *server); /* ends all connections, joins, frees */

#endif
