/* SPDX-License-Identifier: BSD-2-Clause */
/* serve/filter/encoding.h - what the filters that change a body share. */
#ifndef PENSTOCK_SERVE_ENCODING_H
#define PENSTOCK_SERVE_ENCODING_H

#include "filter/filters.h"
#include "filter/type_set.h"
#include "serve/encodings.h"

/* The body will be other bytes: no length, no ranges, a weak validator. */
void response_body_changes(struct request *r);
/* And so many that no validator fits. */
void response_forget_validators(struct request *r);

/* Is the response one to be encoded, whatever the client says? */
struct encoding_want {
    const struct type_set *types;
    uint64_t min_length;
};
bool encoding_is_wanted(const struct request *r,
                        const struct encoding_want *want);

/* NUMBER SIZE, as in gzip_buffers. */
struct encoding_buffers {
    uint64_t n, size;
};
conf_setter encoding_set_buffers;

/* From here on the body goes through the filter, and the head says so. */
void encoding_begin(struct request *r, struct str coding,
                    const struct filter_type *type, void *state,
                    const struct encoding_buffers *buffers);

void gzip_filter(struct request *r);
void gunzip_filter(struct request *r);
void brotli_filter(struct request *r);
void sub_filter_filter(struct request *r);
void charset_filter(struct request *r);
void ssi_filter(struct request *r);
void slice_filter(struct request *r);
void addition_filter(struct request *r);

/* Has it something to do in that scope? */
bool slice_is_on(const struct conf_scope *scope);
bool gunzip_is_on(const struct conf_scope *scope);
bool sub_filter_is_on(const struct conf_scope *scope);
bool charset_is_on(const struct conf_scope *scope);
bool ssi_is_on(const struct conf_scope *scope);
bool addition_is_on(const struct conf_scope *scope);
bool brotli_is_on(const struct conf_scope *scope);
bool gzip_is_on(const struct conf_scope *scope);

/* Vary, when a filter has said that the body depends on Accept-Encoding. */
void encoding_vary(struct request *r);

#endif
