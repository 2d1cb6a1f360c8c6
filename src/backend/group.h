/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What messages to groups have in common: group.c, bstream.c.
 */
#ifndef PENSTOCK_SRC_BACKEND_GROUP_H
#define PENSTOCK_SRC_BACKEND_GROUP_H

#include "internal.h"
#include "sluice/group.h"

enum {
    GROUP_ROOM = 1024 /* of a frame, for what stands before the data */
};

#endif
