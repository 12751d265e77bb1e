/* A descriptor that one thread makes readable to wake another out of its poll: an eventfd, elsewhere a pipe. */
#ifndef FDS_WAKE_H
#define FDS_WAKE_H

typedef struct {
    int read_fd; /* poll this one */
    int write_fd;
} fds_wake;

int fds_wake_open(fds_wake *wake); /* 0, or -1 with errno; descriptors are close-on-exec and non-blocking */
void fds_wake_close(fds_wake *wake);
void fds_wake_signal(const fds_wake *wake); /* any thread; never blocks */
void fds_wake_clear(const fds_wake *wake);

#endif
