/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/unit/http/play.h - one input in every split against its transcript.
 */
#ifndef PENSTOCK_TESTS_HTTP_PLAY_H
#define PENSTOCK_TESTS_HTTP_PLAY_H

#include "support/feed.h"
#include "support/test.h"
#include "unit/http/transcript.h"

struct play {
    struct transcript t;
    const char *why, *expected;
};

static inline void play_begin(void *arg)
{
    transcript_begin(&((struct play *)arg)->t);
}

static inline int play_feed(void *arg, struct span *in)
{
    return transcript_feed(&((struct play *)arg)->t, in);
}

static inline void play_end(void *arg, const char *how)
{
    struct play *p = arg;
    transcript_end(&p->t);
    if (!str_eq(buf_str(&p->t.out), str_c(p->expected)))
        fail_msg("%s, %s: got\n%.*sexpected\n%s", p->why, how,
                 STR_ARG(buf_str(&p->t.out)), p->expected);
}

static inline void transcript_play(const struct http_limits *limits,
                                   bool response, const char *why,
                                   struct str input, const char *expected)
{
    struct play p = {.t = {.limits = *limits, .response = response},
                     .why = why,
                     .expected = expected};
    struct feed f = {&p, play_begin, play_feed, play_end};
    feed_every_split(&f, input.p, input.n);
    buf_fini(&p.t.out);
}

#endif
