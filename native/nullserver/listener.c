#define _GNU_SOURCE
#include "listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 1024

static bool is_loopback(const struct sockaddr *address) {
    if (address->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) >> 24 == 127;
    return address->sa_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
}

static int open_socket(const struct addrinfo *address, bool shared) {
    int fd = socket(address->ai_family, SOCK_STREAM, 0);
    if (fd < 0)
        return -1;
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if ((shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on)) || fcntl(fd, F_SETFD, FD_CLOEXEC) ||
        fcntl(fd, F_SETFL, O_NONBLOCK) || bind(fd, address->ai_addr, address->ai_addrlen) || listen(fd, BACKLOG)) {
        int reason = errno;
        close(fd);
        errno = reason;
        return -1;
    }
    return fd;
}

static bool read_name(int fd, uint16_t *port, char name[FDS_NS_ADDRESS_MAX]) {
    struct sockaddr_storage bound;
    socklen_t size = sizeof bound;
    char host[FDS_NS_ADDRESS_MAX - 16], service[8];
    if (getsockname(fd, (struct sockaddr *)&bound, &size) ||
        getnameinfo((struct sockaddr *)&bound, size, host, sizeof host, service, sizeof service,
                    NI_NUMERICHOST | NI_NUMERICSERV))
        return false;
    *port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                              : ((struct sockaddr_in *)&bound)->sin_port);
    snprintf(name, FDS_NS_ADDRESS_MAX, bound.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, service);
    return true;
}

static struct addrinfo *resolve(const char *host, const char *service) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
    struct addrinfo *address;
    if (getaddrinfo(host, service, &hints, &address)) {
        fprintf(stderr, "fds-nullserver: '%s' is not a numeric address (see --help)\n", host);
        return NULL;
    }
    return address;
}

bool fds_ns_listen_allowed(const char *host, bool allow_any) {
    struct addrinfo *address = resolve(host, "0");
    if (!address)
        return false;
    bool allowed = allow_any || is_loopback(address->ai_addr);
    freeaddrinfo(address);
    if (!allowed)
        fprintf(stderr,
                "fds-nullserver: %s is not a loopback address; this server protects nothing, so it takes "
                "--allow-any-address to listen there\n",
                host);
    return allowed;
}

int fds_ns_listen(const char *host, uint16_t *port, bool shared, char name[FDS_NS_ADDRESS_MAX]) {
    char service[8];
    snprintf(service, sizeof service, "%u", *port);
    struct addrinfo *address = resolve(host, service);
    if (!address)
        return -1;
    int fd = open_socket(address, shared);
    if (fd >= 0 && !read_name(fd, port, name)) {
        close(fd);
        fd = -1;
    }
    if (fd < 0)
        fprintf(stderr, "fds-nullserver: cannot listen on %s port %s: %s\n", host, service, strerror(errno));
    freeaddrinfo(address);
    return fd;
}
