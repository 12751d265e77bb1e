#include "poller.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#if defined(__linux__) && !defined(FDS_POLLER_POLL) /* the tests build both */
#include <sys/epoll.h>

#define EVENTS_A_WAIT 64

struct fds_poller {
    int fd;
};

fds_poller *fds_poller_new(void) {
    fds_poller *poller = malloc(sizeof *poller);
    if (!poller)
        return NULL;
    poller->fd = epoll_create1(EPOLL_CLOEXEC);
    if (poller->fd < 0) {
        free(poller);
        return NULL;
    }
    return poller;
}

void fds_poller_free(fds_poller *poller) {
    if (!poller)
        return;
    close(poller->fd);
    free(poller);
}

static int control(fds_poller *poller, int operation, int fd, int interest, void *owner) {
    struct epoll_event event = {.data.ptr = owner};
    if (interest & FDS_READABLE)
        event.events |= EPOLLIN;
    if (interest & FDS_WRITABLE)
        event.events |= EPOLLOUT;
    return epoll_ctl(poller->fd, operation, fd, &event);
}

int fds_poller_add(fds_poller *poller, int fd, int interest, void *owner) {
    return control(poller, EPOLL_CTL_ADD, fd, interest, owner);
}

int fds_poller_modify(fds_poller *poller, int fd, int interest, void *owner) {
    return control(poller, EPOLL_CTL_MOD, fd, interest, owner);
}

void fds_poller_remove(fds_poller *poller, int fd) {
    control(poller, EPOLL_CTL_DEL, fd, 0, NULL);
}

int fds_poller_wait(fds_poller *poller, fds_event *events, int max, int timeout_ms) {
    struct epoll_event ready[EVENTS_A_WAIT];
    int count = epoll_wait(poller->fd, ready, max < EVENTS_A_WAIT ? max : EVENTS_A_WAIT, timeout_ms);
    if (count < 0)
        return 0;
    for (int i = 0; i < count; i++) {
        int mask = 0;
        if (ready[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP))
            mask |= FDS_READABLE;
        if (ready[i].events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
            mask |= FDS_WRITABLE;
        events[i] = (fds_event){.owner = ready[i].data.ptr, .ready = mask};
    }
    return count;
}

#else
#include <poll.h>

struct fds_poller {
    struct pollfd *fds;
    void **owners;
    size_t count, capacity;
    size_t next; /* where the next wait begins to look, so that each gets its turn when more are ready than fit */
};

fds_poller *fds_poller_new(void) {
    return calloc(1, sizeof(fds_poller));
}

void fds_poller_free(fds_poller *poller) {
    if (!poller)
        return;
    free(poller->fds);
    free(poller->owners);
    free(poller);
}

static short poll_events(int interest) {
    return (short)(((interest & FDS_READABLE) ? POLLIN : 0) | ((interest & FDS_WRITABLE) ? POLLOUT : 0));
}

int fds_poller_add(fds_poller *poller, int fd, int interest, void *owner) {
    if (poller->count == poller->capacity) {
        size_t capacity = poller->capacity ? poller->capacity * 2 : 16;
        struct pollfd *fds = realloc(poller->fds, capacity * sizeof *fds);
        if (!fds)
            return -1;
        poller->fds = fds;
        void **owners = realloc(poller->owners, capacity * sizeof *owners);
        if (!owners)
            return -1;
        poller->owners = owners;
        poller->capacity = capacity;
    }
    poller->fds[poller->count] = (struct pollfd){.fd = fd, .events = poll_events(interest)};
    poller->owners[poller->count++] = owner;
    return 0;
}

static size_t position(const fds_poller *poller, int fd) {
    size_t i = 0;
    while (i < poller->count && poller->fds[i].fd != fd)
        i++;
    return i;
}

int fds_poller_modify(fds_poller *poller, int fd, int interest, void *owner) {
    size_t i = position(poller, fd);
    if (i == poller->count) {
        errno = ENOENT;
        return -1;
    }
    poller->fds[i].events = poll_events(interest);
    poller->owners[i] = owner;
    return 0;
}

void fds_poller_remove(fds_poller *poller, int fd) {
    size_t i = position(poller, fd);
    if (i == poller->count)
        return;
    poller->count--;
    poller->fds[i] = poller->fds[poller->count];
    poller->owners[i] = poller->owners[poller->count];
}

int fds_poller_wait(fds_poller *poller, fds_event *events, int max, int timeout_ms) {
    if (poll(poller->fds, (nfds_t)poller->count, timeout_ms) <= 0)
        return 0;
    int found = 0;
    for (size_t step = 0; step < poller->count && found < max; step++) {
        size_t i = poller->next++ % poller->count;
        short ready = poller->fds[i].revents;
        int mask = 0;
        if (ready & (POLLIN | POLLERR | POLLHUP | POLLNVAL))
            mask |= FDS_READABLE;
        if (ready & (POLLOUT | POLLERR | POLLHUP | POLLNVAL))
            mask |= FDS_WRITABLE;
        if (mask)
            events[found++] = (fds_event){.owner = poller->owners[i], .ready = mask};
    }
    return found;
}
#endif
