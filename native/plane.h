/* The data plane: makes attempts of requests on a few event loops. Policy (retry, credentials, what to verify) is
 * its caller's. Thread-safe. */
#ifndef FDS_PLANE_H
#define FDS_PLANE_H

#include "attempt.h"

typedef struct fds_plane fds_plane;

/* `loops` event loops, 1 to 64. NULL with errno. */
fds_plane *fds_plane_new(int loops);
/* Cancels and reports what is in flight, joins the loops, frees. */
void fds_plane_free(fds_plane *plane);

/* Hands over `count` attempts; each comes back through its queue. */
void fds_plane_submit(fds_plane *plane, fds_attempt **attempts, size_t count);
/* After setting `cancel` of one or many attempts: they come back, CANCELLED unless they had finished. */
void fds_plane_notice(fds_plane *plane);
int fds_plane_loops(const fds_plane *plane);
int fds_plane_in_flight(const fds_plane *plane);

/* Around fork(). `before` parks the loops between two turns (milliseconds at most). In the child the plane is dead:
 * its descriptors are closed without a word to the peers, its memory stays, and nothing else may be called. */
void fds_plane_before_fork(fds_plane *plane);
void fds_plane_after_fork_in_parent(fds_plane *plane);
void fds_plane_after_fork_in_child(fds_plane *plane);

#endif
