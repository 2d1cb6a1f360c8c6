/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * base/shm.h - memory that several processes use: a lock and an allocator.
 *
 * One piece of memory of fixed size, behind a descriptor; whoever has the
 * descriptor attaches it, at an address of its own.  So what is kept inside
 * refers to other things inside by struct-free numbers (shm_ref), never by
 * pointers, and what is not plain data (a FILE, a pointer to code) has no
 * business there.
 *
 * Everything but shm_attach() and shm_size() needs the lock, which is
 * held for a few instructions and never over anything that waits.  A process
 * that dies while it holds the lock may have left a list half linked: then
 * the next one to lock finds the memory emptied, with no root, as it was
 * after shm_create(), and the epoch is another.  Who keeps a reference
 * outside of the memory keeps the epoch beside it and forgets both when
 * shm_lock() returns a different one.
 */
#ifndef PENSTOCK_BASE_SHM_H
#define PENSTOCK_BASE_SHM_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
    SHM_SIZE_MIN = 32 * 1024, /* bytes: nginx's eight pages */
    SHM_OWNERS_MAX = 64,      /* processes */
};
#define SHM_SIZE_MAX (UINT64_C(1) << 35)

struct shm;

/* A place inside the memory, the same in every process; 0: none. */
typedef uint32_t shm_ref;

/*
 * A new piece of size bytes (SHM_SIZE_MIN to SHM_SIZE_MAX, rounded up
 * to pages), empty.  *fd is the caller's: close-on-exec, and its size can not
 * be changed by anybody.  name is for /proc only.  NULL with err.
 */
struct shm *shm_create(const char *name, uint64_t size, int *fd,
                       struct err *err);

/* The memory behind fd, which stays the caller's and may be closed.  NULL
 * with err, also when it was not made by shm_create(). */
struct shm *shm_attach(int fd, struct err *err);

/* Let go of it in this process; NULL is fine. */
void shm_detach(struct shm *s);

uint64_t shm_size(const struct shm *s);

/* Wait for the lock; returns the epoch. */
uint32_t shm_lock(struct shm *s);
void shm_unlock(struct shm *s);

/* What everything else is found from; 0 until somebody sets it. */
shm_ref shm_root(const struct shm *s);
void shm_set_root(struct shm *s, shm_ref root);

/* Zeroed, aligned to 8 bytes (16 from 16 bytes on); NULL when there is no
 * room.  Up to 2048 bytes take the next of a few sizes, more take pages. */
void *shm_alloc(struct shm *s, size_t n);
void shm_free(struct shm *s, void *p); /* NULL is fine */

/* Between places and pointers of this process; 0 and NULL are each other. */
void *shm_at(const struct shm *s, shm_ref ref);
shm_ref shm_ref_of(const struct shm *s, const void *p);

/* A hash that peers can not aim at, with the memory's own secret. */
uint64_t shm_hash(const struct shm *s, const void *p, size_t n);

/* Bytes that are in pages nobody uses: an estimate for status pages. */
uint64_t shm_free_bytes(const struct shm *s);

/*
 * For counts that end with the process that made them (open connections):
 * each process takes a place in the memory and writes its number beside what
 * it counts.  A process that dies keeps its place until another one buries
 * it: bury() is called once for it, under the lock, to take its counts out.
 */
typedef void shm_bury_fn(struct shm *s, unsigned owner, void *arg);

/* A place, from 1, after the dead were buried; 0: all are taken, what is
 * counted under it is nobody's. */
unsigned shm_join(struct shm *s, shm_bury_fn *bury, void *arg);
/* Before shm_detach(), without the lock; 0 is fine. */
void shm_leave(struct shm *s, unsigned owner);
void shm_bury(struct shm *s, shm_bury_fn *bury, void *arg);

/* Empty it now: what happens by itself when a holder of the lock died. */
void shm_wipe(struct shm *s);

#endif
