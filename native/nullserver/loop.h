/* One event loop: a listener and the connections it accepted. Shares nothing with other loops but the store. */
#ifndef FDS_NS_LOOP_H
#define FDS_NS_LOOP_H

#include "exchange.h"

#include <openssl/ssl.h>

typedef struct fds_ns_loop fds_ns_loop;

/* Takes over the listening descriptor in any case. NULL with errno when something is lacking. `index` makes the
 * loop's request ids its own. */
fds_ns_loop *fds_ns_loop_new(const fds_ns_server *server, int listener, SSL_CTX *context, unsigned index);
void fds_ns_loop_run(fds_ns_loop *loop);  /* until it is stopped */
void fds_ns_loop_stop(fds_ns_loop *loop); /* any thread */
void fds_ns_loop_count(fds_ns_loop *loop, uint64_t *sent, uint64_t *received); /* adds its bytes; any thread */
void fds_ns_loop_free(fds_ns_loop *loop); /* closes its connections; not while it runs */

#endif
