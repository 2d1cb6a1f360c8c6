/* SPDX-License-Identifier: BSD-2-Clause */
#include "filters.h"

#include "serve/headers.h"

typedef void head_filter(struct request *r);

/* In the order they run. */
static head_filter *const head_filters[] = {
    headers_filter,
};

void filters_run_head(struct request *r)
{
    for (size_t i = 0; i < sizeof head_filters / sizeof *head_filters; i++)
        head_filters[i](r);
}
