#define _GNU_SOURCE
#include "bufferpool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define SMALL_STEP ((size_t)64 << 10)
#define HUGE_PAGE ((size_t)2 << 20)

typedef struct region region;
struct region {
    region *newer, *older;
    void *memory;
    size_t capacity;
};

struct fds_bufferpool {
    atomic_int references;
    pthread_mutex_t lock;
    pid_t owner; /* whose free list it is: see forget_parents */
    region *newest, *oldest;
    size_t limit;
    fds_bufferpool_state state;
};

fds_bufferpool *fds_bufferpool_new(size_t limit) {
    fds_bufferpool *pool = calloc(1, sizeof *pool);
    if (!pool)
        return NULL;
    atomic_init(&pool->references, 1);
    pthread_mutex_init(&pool->lock, NULL);
    pool->limit = limit;
    pool->owner = getpid();
    return pool;
}

fds_bufferpool *fds_bufferpool_retain(fds_bufferpool *pool) {
    atomic_fetch_add(&pool->references, 1);
    return pool;
}

void fds_bufferpool_release(fds_bufferpool *pool) {
    if (!pool || atomic_fetch_sub(&pool->references, 1) != 1)
        return;
    fds_bufferpool_trim(pool, 0);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

static size_t round_up(size_t size) {
    size_t step = size < HUGE_PAGE ? SMALL_STEP : HUGE_PAGE;
    if (size > SIZE_MAX - step)
        return 0;
    return size ? (size + step - 1) / step * step : step;
}

/* A mapping whose huge pages can be whole: aligned to their size by cutting off what a larger one has too much. */
static void *map(size_t capacity) {
    size_t slack = capacity >= HUGE_PAGE ? HUGE_PAGE : 0;
    if (capacity > SIZE_MAX - slack)
        return NULL;
    char *memory = mmap(NULL, capacity + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    if (slack) {
        size_t before = (HUGE_PAGE - (uintptr_t)memory % HUGE_PAGE) % HUGE_PAGE;
        if (before)
            munmap(memory, before);
        if (slack - before)
            munmap(memory + before + capacity, slack - before);
        memory += before;
#ifdef MADV_HUGEPAGE
        madvise(memory, capacity, MADV_HUGEPAGE);
#endif
    }
    return memory;
}

/* A child process has no use for the free list. */
static void inherit_by_fork(const region *entry, int inherit) {
#ifdef MADV_DONTFORK
    madvise(entry->memory, entry->capacity, inherit ? MADV_DOFORK : MADV_DONTFORK);
#else
    (void)entry;
    (void)inherit;
#endif
}

static void unlink_region(fds_bufferpool *pool, region *entry) {
    *(entry->newer ? &entry->newer->older : &pool->newest) = entry->older;
    *(entry->older ? &entry->older->newer : &pool->oldest) = entry->newer;
    pool->state.free_bytes -= entry->capacity;
    pool->state.free_regions--;
}

/* With the lock held. In a fork's child the regions on the free list are not there (or other memory is in their
 * place by now): only their entries are given back. */
static void forget_parents(fds_bufferpool *pool) {
    if (pool->owner == getpid())
        return;
    pool->owner = getpid();
    for (region *entry = pool->newest, *older; entry; entry = older) {
        older = entry->older;
        free(entry);
    }
    pool->newest = pool->oldest = NULL;
    pool->state.free_bytes = pool->state.free_regions = 0;
}

/* The newest free region (its pages may still be in the cache) that fits without wasting more than a quarter. */
static region *find_free(fds_bufferpool *pool, size_t capacity) {
    size_t most = capacity + capacity / 4;
    for (region *entry = pool->newest; entry; entry = entry->older)
        if (entry->capacity >= capacity && entry->capacity <= most)
            return entry;
    return NULL;
}

static void unmap_list(region *entry) {
    for (region *older; entry; entry = older) {
        older = entry->older;
        munmap(entry->memory, entry->capacity);
        free(entry);
    }
}

/* With the lock held: takes the oldest off the free list until `keep` bytes are left. To be unmapped without it. */
static region *evict(fds_bufferpool *pool, size_t keep) {
    region *evicted = NULL;
    while (pool->state.free_bytes > keep) {
        region *oldest = pool->oldest;
        unlink_region(pool, oldest);
        oldest->older = evicted;
        evicted = oldest;
    }
    return evicted;
}

/* With the lock held: how much the free list may hold. */
static size_t room(const fds_bufferpool *pool) {
    size_t in_flight = pool->state.in_use_bytes - pool->state.handed_bytes;
    return in_flight < pool->limit ? pool->limit - in_flight : 0;
}

void *fds_bufferpool_take(fds_bufferpool *pool, size_t size, size_t *capacity) {
    size_t wanted = round_up(size);
    if (!wanted)
        return NULL;
    pthread_mutex_lock(&pool->lock);
    forget_parents(pool);
    region *entry = find_free(pool, wanted);
    if (entry) {
        unlink_region(pool, entry);
        pool->state.recycled++;
        pool->state.in_use_bytes += entry->capacity;
        pool->state.in_use_regions++;
    }
    pthread_mutex_unlock(&pool->lock);
    if (entry) {
        void *memory = entry->memory;
        inherit_by_fork(entry, 1);
        *capacity = entry->capacity;
        free(entry);
        return memory;
    }
    void *memory = map(wanted);
    if (!memory)
        return NULL;
    *capacity = wanted;
    pthread_mutex_lock(&pool->lock);
    pool->state.mapped++;
    pool->state.in_use_bytes += wanted;
    pool->state.in_use_regions++;
    region *evicted = evict(pool, room(pool));
    pthread_mutex_unlock(&pool->lock);
    unmap_list(evicted);
    return memory;
}

void fds_bufferpool_hand_over(fds_bufferpool *pool, size_t capacity) {
    pthread_mutex_lock(&pool->lock);
    pool->state.handed_bytes += capacity;
    pthread_mutex_unlock(&pool->lock);
}

void fds_bufferpool_give(fds_bufferpool *pool, void *memory, size_t capacity, int handed_over) {
    region *entry = malloc(sizeof *entry);
    if (entry) {
        *entry = (region){.memory = memory, .capacity = capacity};
        inherit_by_fork(entry, 0);
    }
    region *evicted = NULL;
    pthread_mutex_lock(&pool->lock);
    forget_parents(pool);
    pool->state.in_use_bytes -= capacity;
    pool->state.in_use_regions--;
    if (handed_over)
        pool->state.handed_bytes -= capacity;
    bool keep = entry && capacity <= room(pool);
    if (keep) {
        evicted = evict(pool, room(pool) - capacity);
        entry->older = pool->newest;
        *(pool->newest ? &pool->newest->newer : &pool->oldest) = entry;
        pool->newest = entry;
        pool->state.free_bytes += capacity;
        pool->state.free_regions++;
    }
    pthread_mutex_unlock(&pool->lock);
    unmap_list(evicted);
    if (!keep) {
        munmap(memory, capacity);
        free(entry);
    }
}

fds_bufferpool_state fds_bufferpool_look(fds_bufferpool *pool) {
    pthread_mutex_lock(&pool->lock);
    forget_parents(pool);
    fds_bufferpool_state state = pool->state;
    pthread_mutex_unlock(&pool->lock);
    return state;
}

void fds_bufferpool_trim(fds_bufferpool *pool, size_t keep) {
    pthread_mutex_lock(&pool->lock);
    forget_parents(pool);
    region *evicted = evict(pool, keep);
    pthread_mutex_unlock(&pool->lock);
    unmap_list(evicted);
}
