#define _GNU_SOURCE
#include "resolver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct question question;
struct question {
    question *next;
    char *host;
    uint16_t port;
    fds_resolved *resolved;
    void *context;
    fds_resolution *resolution;
};

/* Owned by the plane and by its threads: the last one to leave frees it. */
struct fds_resolver {
    pthread_mutex_t lock;
    pthread_cond_t asked;
    question *first, *last;
    int questions; /* that no thread has taken yet */
    bool closed;
    int threads;
    int idle; /* of them, these wait for a question */
};

fds_resolver *fds_resolver_new(void) {
    fds_resolver *resolver = calloc(1, sizeof *resolver);
    if (!resolver)
        return NULL;
    pthread_mutex_init(&resolver->lock, NULL);
    pthread_cond_init(&resolver->asked, NULL);
    return resolver;
}

static void free_question(question *q) {
    free(q->resolution);
    free(q->host);
    free(q);
}

static void destroy(fds_resolver *resolver) {
    for (question *q = resolver->first, *next; q; q = next) {
        next = q->next;
        free_question(q);
    }
    pthread_cond_destroy(&resolver->asked);
    pthread_mutex_destroy(&resolver->lock);
    free(resolver);
}

void fds_resolver_free(fds_resolver *resolver) {
    if (!resolver)
        return;
    pthread_mutex_lock(&resolver->lock);
    resolver->closed = true;
    bool last = resolver->threads == 0;
    pthread_cond_broadcast(&resolver->asked);
    pthread_mutex_unlock(&resolver->lock);
    if (last)
        destroy(resolver);
}

static void look_up(const question *q) {
    fds_resolution *resolution = q->resolution;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *found = NULL;
    char port[8];
    snprintf(port, sizeof port, "%u", q->port);
    int error = getaddrinfo(q->host, port, &hints, &found);
    if (error) {
        snprintf(resolution->why, sizeof resolution->why, "cannot resolve %s: %s", q->host,
                 error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error));
        return;
    }
    for (struct addrinfo *a = found; a && resolution->count < FDS_ADDRESSES_MAX; a = a->ai_next) {
        fds_address *address = &resolution->addresses[resolution->count++];
        memcpy(&address->address, a->ai_addr, a->ai_addrlen);
        address->size = a->ai_addrlen;
    }
    freeaddrinfo(found);
}

static void *run(void *argument) {
    fds_resolver *resolver = argument;
    pthread_mutex_lock(&resolver->lock);
    while (!resolver->closed) {
        question *q = resolver->first;
        if (!q) {
            resolver->idle++;
            pthread_cond_wait(&resolver->asked, &resolver->lock);
            resolver->idle--;
            continue;
        }
        resolver->first = q->next;
        if (!resolver->first)
            resolver->last = NULL;
        resolver->questions--;
        pthread_mutex_unlock(&resolver->lock);
        look_up(q);
        pthread_mutex_lock(&resolver->lock);
        if (!resolver->closed) {
            q->resolved(q->context, q->resolution);
            q->resolution = NULL;
        }
        free_question(q);
    }
    bool last = --resolver->threads == 0;
    pthread_mutex_unlock(&resolver->lock);
    if (last)
        destroy(resolver);
    return NULL;
}

static int start(fds_resolver *resolver) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the interpreter's */
    pthread_t thread;
    int error = pthread_create(&thread, NULL, run, resolver);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error)
        return -1;
    pthread_detach(thread);
    resolver->threads++;
    return 0;
}

int fds_resolver_ask(fds_resolver *resolver, const char *host, uint16_t port, fds_resolved *resolved, void *context,
                     void *asker) {
    question *q = calloc(1, sizeof *q);
    if (!q)
        return -1;
    q->host = strdup(host);
    q->resolution = calloc(1, sizeof *q->resolution);
    if (!q->host || !q->resolution) {
        free_question(q);
        return -1;
    }
    q->port = port;
    q->resolved = resolved;
    q->context = context;
    q->resolution->asker = asker;
    pthread_mutex_lock(&resolver->lock);
    /* Those that wait may have been promised to questions that they have not taken yet. */
    bool wanted = resolver->questions >= resolver->idle && resolver->threads < FDS_RESOLVER_THREADS;
    int failed = wanted && start(resolver) < 0 && !resolver->threads;
    if (!failed) {
        resolver->questions++;
        if (resolver->last)
            resolver->last->next = q;
        else
            resolver->first = q;
        resolver->last = q;
        pthread_cond_signal(&resolver->asked);
    }
    pthread_mutex_unlock(&resolver->lock);
    if (failed)
        free_question(q);
    return failed ? -1 : 0;
}

int fds_resolve_literal(const char *host, uint16_t port, fds_address *address) {
    memset(address, 0, sizeof *address);
    struct sockaddr_in *v4 = (struct sockaddr_in *)&address->address;
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        address->size = sizeof *v4;
        return 1;
    }
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address->address;
    if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        address->size = sizeof *v6;
        return 1;
    }
    return 0;
}

void fds_address_text(const fds_address *address, char *text, size_t size) {
    char host[INET6_ADDRSTRLEN] = "?";
    if (address->address.ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address->address;
        inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
        snprintf(text, size, "%s:%u", host, ntohs(v4->sin_port));
    } else {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address->address;
        inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
        snprintf(text, size, "[%s]:%u", host, ntohs(v6->sin6_port));
    }
}
