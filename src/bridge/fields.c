/* SPDX-License-Identifier: BSD-2-Clause */
#include "fields.h"

#include "http/head.h"

int backend_field_get(const struct sluice_tlv *t, struct str *name,
                      struct str *value)
{
    int rc = sluice_tlv_get_header(t, name, value);
    if (rc < 0)
        return rc;
    *value = str_trim(*value);
    if (!http_field_name_is_valid(*name) || !http_field_value_is_valid(*value))
        return -SLUICE_ERROR_HANDSHAKE;
    return 0;
}
