/* SPDX-License-Identifier: BSD-2-Clause */
/* io/transport.h - the ways bytes cross; one row per kind of stream. */
#ifndef PENSTOCK_IO_TRANSPORT_H
#define PENSTOCK_IO_TRANSPORT_H

#include "io/stream.h"

extern const struct stream_transport transport_plain;

#endif
