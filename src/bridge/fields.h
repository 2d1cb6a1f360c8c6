/* SPDX-License-Identifier: BSD-2-Clause */
/* fields.h - fields of a response that a backend wants sent. */
#ifndef PENSTOCK_SRC_BRIDGE_FIELDS_H
#define PENSTOCK_SRC_BRIDGE_FIELDS_H

#include "sluice/tlv.h"

/* The name and the value, trimmed, of a HEADER TLV.  Negated and fatal to the
 * client when it is malformed or could break the message it is put in (SLUICE
 * section 15). */
int backend_field_get(const struct sluice_tlv *t, struct str *name,
                      struct str *value);

#endif
