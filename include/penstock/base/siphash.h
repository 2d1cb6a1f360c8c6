/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * base/siphash.h - a keyed hash for tables whose keys a peer chooses.
 *
 * SipHash-1-3 (Aumasson and Bernstein, 2012, with one round a word and three
 * at the end): who does not know the key can not make keys collide.  Not for
 * signatures.
 */
#ifndef PENSTOCK_BASE_SIPHASH_H
#define PENSTOCK_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t siphash(const uint64_t key[2], const void *p, size_t n);

#endif
