#include "wake.h"

#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/eventfd.h>

int fds_wake_open(fds_wake *wake) {
    wake->read_fd = wake->write_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return wake->read_fd < 0 ? -1 : 0;
}
#else
int fds_wake_open(fds_wake *wake) {
    int fds[2];
    if (pipe(fds) < 0)
        return -1;
    for (int i = 0; i < 2; i++) {
        fcntl(fds[i], F_SETFD, FD_CLOEXEC);
        fcntl(fds[i], F_SETFL, O_NONBLOCK);
    }
    wake->read_fd = fds[0];
    wake->write_fd = fds[1];
    return 0;
}
#endif

void fds_wake_close(fds_wake *wake) {
    if (wake->write_fd >= 0 && wake->write_fd != wake->read_fd)
        close(wake->write_fd);
    if (wake->read_fd >= 0)
        close(wake->read_fd);
    wake->read_fd = wake->write_fd = -1;
}

void fds_wake_signal(const fds_wake *wake) {
    uint64_t one = 1;
    /* A full counter or pipe means that the reader is awake already. */
    ssize_t ignored = write(wake->write_fd, &one, sizeof one);
    (void)ignored;
}

void fds_wake_clear(const fds_wake *wake) {
    uint64_t values[8];
    while (read(wake->read_fd, values, sizeof values) == (ssize_t)sizeof values)
        ;
}
