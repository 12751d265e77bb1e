/* Readiness of many descriptors, level-triggered: epoll on Linux, poll elsewhere. Belongs to one event loop. */
#ifndef FDS_POLLER_H
#define FDS_POLLER_H

#include <stdbool.h>
#include <stddef.h>

enum { FDS_READABLE = 1, FDS_WRITABLE = 2 };

typedef struct {
    void *owner; /* what was given to fds_poller_add */
    int ready;   /* FDS_READABLE | FDS_WRITABLE; an error or hang-up sets both */
} fds_event;

typedef struct fds_poller fds_poller;

fds_poller *fds_poller_new(void);
void fds_poller_free(fds_poller *poller);
int fds_poller_add(fds_poller *poller, int fd, int interest, void *owner); /* 0, or -1 with errno */
int fds_poller_modify(fds_poller *poller, int fd, int interest, void *owner);
void fds_poller_remove(fds_poller *poller, int fd);
/* Waits at most `timeout_ms` (-1: for ever) and fills up to `max` events. Returns their number; 0 when interrupted. */
int fds_poller_wait(fds_poller *poller, fds_event *events, int max, int timeout_ms);

#endif
