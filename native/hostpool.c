#define _GNU_SOURCE
#include "hostpool.h"

#include "clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ADDRESS_QUARANTINE (10 * FDS_SECOND)
#define ADDRESSES_FRESH_FOR (60 * FDS_SECOND)
#define STARVED_FOR FDS_SECOND /* without any connection, before requests fail */
#define STARVED_AVOIDED_FOR (5 * FDS_SECOND)

fds_hostpool *fds_hostpool_of(fds_loop *loop, fds_endpoint *endpoint) {
    for (fds_hostpool *pool = loop->pools; pool; pool = pool->next)
        if (pool->endpoint == endpoint)
            return pool;
    fds_hostpool *pool = calloc(1, sizeof *pool);
    if (!pool)
        return NULL;
    pool->signing_key = fds_signing_key_new();
    if (!pool->signing_key) {
        free(pool);
        return NULL;
    }
    pool->loop = loop;
    pool->endpoint = fds_endpoint_retain(endpoint);
    pool->next = loop->pools;
    loop->pools = pool;
    return pool;
}

void fds_hostpool_add(fds_hostpool *pool, fds_attempt *attempt) {
    attempt->next = NULL;
    if (pool->waiting_last)
        pool->waiting_last->next = attempt;
    else
        pool->waiting = attempt;
    pool->waiting_last = attempt;
}

static fds_attempt *next_waiting(fds_hostpool *pool) {
    fds_attempt *attempt = pool->waiting;
    pool->waiting = attempt->next;
    if (!pool->waiting)
        pool->waiting_last = NULL;
    attempt->next = NULL;
    return attempt;
}

static void fail_waiting(fds_hostpool *pool, fds_outcome outcome, const char *why) {
    while (pool->waiting) {
        fds_attempt *attempt = next_waiting(pool);
        fds_attempt_fail(attempt, outcome, "%s", why);
        fds_loop_finish(pool->loop, attempt);
    }
}

/* ---- addresses ---- */

/* On the resolver's thread: into the loop's inbox. */
static void hand_over(void *context, fds_resolution *resolution) {
    fds_loop *loop = context;
    pthread_mutex_lock(&loop->inbox_lock);
    resolution->next = loop->resolutions;
    loop->resolutions = resolution;
    pthread_mutex_unlock(&loop->inbox_lock);
    fds_wake_signal(&loop->wake);
}

static void refresh_addresses(fds_hostpool *pool) {
    bool stale = !pool->address_count || pool->loop->now - pool->resolved_at > ADDRESSES_FRESH_FOR;
    if (pool->resolving || !stale)
        return;
    const fds_endpoint *endpoint = pool->endpoint;
    if (fds_resolve_literal(endpoint->host, endpoint->port, &pool->addresses[0])) {
        pool->address_count = 1;
        pool->resolved_at = pool->loop->now;
        return;
    }
    pool->resolving =
        fds_resolver_ask(pool->loop->resolver, endpoint->host, endpoint->port, hand_over, pool->loop, pool) == 0;
    if (!pool->resolving && !pool->address_count)
        fail_waiting(pool, FDS_NO_MEMORY, "cannot start the resolver");
}

/* The families take turns, each in the resolver's order: when one of them is broken, the next address is of the other
 * (RFC 8305, 4). */
static void take_turns(fds_address *out, const fds_address *addresses, size_t count) {
    sa_family_t first = addresses[0].address.ss_family;
    size_t next[2] = {0, 0};
    for (size_t i = 0; i < count; i++) {
        for (size_t turn = i; turn < i + 2; turn++) { /* the other family's when one has no more */
            size_t *at = &next[turn % 2];
            while (*at < count && (addresses[*at].address.ss_family != first) != (bool)(turn % 2))
                ++*at;
            if (*at < count) {
                out[i] = addresses[(*at)++];
                break;
            }
        }
    }
}

void fds_hostpool_resolved(fds_hostpool *pool, const fds_resolution *resolution) {
    pool->resolving = false;
    pool->resolved_at = pool->loop->now;
    if (resolution->count) {
        /* Resolvers sort, so that all processes begin with the same address: each of ours begins somewhere else. A
         * clock's low digits are as good as chance. */
        if (!pool->address_count)
            pool->next_address = (size_t)(fds_now() / 1000) % resolution->count;
        /* Connections name their address by its index: what the old list said of it is only used for messages. */
        take_turns(pool->addresses, resolution->addresses, resolution->count);
        memset(pool->dead_until, 0, sizeof pool->dead_until);
        pool->address_count = resolution->count;
    } else if (!pool->address_count) {
        fail_waiting(pool, FDS_RESOLVE_FAILED, resolution->why);
    }
}

void fds_hostpool_address_failed(fds_hostpool *pool, size_t address) {
    if (address < pool->address_count)
        pool->dead_until[address] = pool->loop->now + ADDRESS_QUARANTINE;
}

void fds_hostpool_address_works(fds_hostpool *pool, size_t address) {
    pool->dead_until[address] = 0;
}

void fds_hostpool_addresses_failed(fds_hostpool *pool) {
    pool->resolved_at = pool->loop->now - ADDRESSES_FRESH_FOR - 1; /* the name may lead elsewhere by now */
}

/* ---- requests to connections ---- */

void fds_hostpool_starve(fds_hostpool *pool, fds_attempt *attempt, int error) {
    attempt->next = pool->waiting; /* it was the first */
    pool->waiting = attempt;
    if (!pool->waiting_last)
        pool->waiting_last = attempt;
    pool->starved = true;
    if (pool->connections) {
        attempt->starved_since = 0;
        return;
    }
    atomic_store(&pool->loop->avoid_until, pool->loop->now + STARVED_AVOIDED_FOR);
    if (!attempt->starved_since)
        attempt->starved_since = pool->loop->now;
    if (pool->loop->now - attempt->starved_since < STARVED_FOR)
        return;
    char why[200];
    snprintf(why, sizeof why, "cannot open a socket: %s; raise the limit of open files (ulimit -n), or open fewer",
             strerror(error));
    fail_waiting(pool, FDS_CONNECT_FAILED, why);
}

bool fds_hostpool_is_full(const fds_hostpool *pool) {
    return pool->connection_count - pool->parked_count >= pool->endpoint->connections;
}

/* Closes the connection of the loop that has idled longest. */
static bool let_go_of_one(fds_loop *loop) {
    fds_connection *oldest = NULL;
    for (fds_hostpool *pool = loop->pools; pool; pool = pool->next)
        for (fds_connection *connection = pool->idle; connection; connection = connection->next_idle)
            if (!oldest || connection->progress < oldest->progress)
                oldest = connection;
    if (oldest)
        fds_connection_close(oldest);
    return oldest != NULL;
}

static void pass_on(fds_hostpool *pool) {
    for (fds_attempt *attempt = pool->waiting; attempt; attempt = attempt->next)
        attempt->addresses_tried = 0; /* of this pool's addresses */
    if (fds_loop_pass_on(pool->loop, pool->waiting, pool->waiting_last))
        pool->waiting = pool->waiting_last = NULL;
}

static void open_for_waiting(fds_hostpool *pool) {
    while (pool->waiting && pool->address_count && !fds_hostpool_is_full(pool) && !pool->starved)
        fds_connection_open(pool, next_waiting(pool));
}

/* Nothing will get free here. */
static bool is_dry(const fds_hostpool *pool) {
    return pool->waiting && pool->starved && !pool->connections;
}

void fds_hostpool_dispatch(fds_hostpool *pool) {
    if (!pool->waiting)
        return;
    refresh_addresses(pool);
    while (pool->waiting && pool->idle) {
        fds_connection *connection = pool->idle;
        pool->idle = connection->next_idle;
        fds_connection_serve(connection, next_waiting(pool));
    }
    if (pool->starved) /* what was passed on to us and cannot be served either would go round and round */
        return;
    open_for_waiting(pool);
    while (is_dry(pool) && let_go_of_one(pool->loop)) {
        pool->starved = false;
        open_for_waiting(pool);
    }
    if (is_dry(pool))
        pass_on(pool);
}

void fds_hostpool_scan_signals(fds_hostpool *pool) {
    fds_attempt *attempt = pool->waiting;
    pool->waiting = pool->waiting_last = NULL;
    for (fds_attempt *next; attempt; attempt = next) {
        next = attempt->next;
        if (atomic_load(&attempt->cancel)) {
            fds_attempt_fail(attempt, FDS_CANCELLED, "cancelled");
            fds_loop_finish(pool->loop, attempt);
        } else {
            fds_hostpool_add(pool, attempt);
        }
    }
    fds_connection *connection = pool->connections;
    for (fds_connection *next; connection; connection = next) {
        next = connection->next;
        if (!connection->attempt)
            continue;
        if (atomic_load(&connection->attempt->cancel))
            fds_connection_fail(connection, FDS_CANCELLED, "cancelled");
        else if (connection->state == FDS_PAUSED && atomic_load(&connection->attempt->proceed))
            fds_connection_proceed(connection);
    }
}

void fds_hostpool_tick(fds_hostpool *pool) {
    pool->starved = false;
    fds_connection *connection = pool->connections;
    for (fds_connection *next; connection; connection = next) {
        next = connection->next;
        fds_connection_tick(connection);
    }
}

bool fds_hostpool_unused(const fds_hostpool *pool) {
    /* Other loops' pools hold references, too: what has been quiet for long is no loss either. */
    bool stale = pool->loop->now - pool->resolved_at > ADDRESSES_FRESH_FOR;
    return !pool->connections && !pool->waiting && !pool->resolving &&
           (stale || atomic_load(&pool->endpoint->references) == 1);
}

void fds_hostpool_close(fds_hostpool *pool) {
    fail_waiting(pool, FDS_CANCELLED, FDS_WHY_CLOSED);
    while (pool->connections) {
        if (pool->connections->attempt)
            fds_connection_fail(pool->connections, FDS_CANCELLED, FDS_WHY_CLOSED);
        else
            fds_connection_close(pool->connections);
    }
    fds_signing_key_free(pool->signing_key);
    fds_endpoint_release(pool->endpoint);
    free(pool);
}
