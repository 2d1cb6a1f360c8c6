/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/access.h"

#include "base/check.h"
#include "serve/auth.h"
#include "serve/auth_request.h"

/* In nginx's order. */
static access_check_fn *const checks[] = {
    access_rules_check,
    auth_basic_check,
    auth_jwt_check,
    auth_request_check,
};

static int refuse(struct request *r, const struct access_conf *c, int status)
{
    if (status == 401 && c->delay_ms)
        return request_wait(r, c->delay_ms, status);
    return status;
}

/* All have been asked. */
static int conclude(struct request *r, const struct access_conf *c)
{
    if (!r->access_code)
        return VERDICT_DECLINED;
    if (r->access_code == 403)
        log_err(&r->log, "access forbidden by rule");
    return refuse(r, c, r->access_code);
}

/* What one check said: true when *verdict is the end of it. */
static bool judge(struct request *r, const struct access_conf *c, int *verdict)
{
    bool refused = *verdict == 401 || *verdict == 403;

    if (*verdict == VERDICT_DECLINED)
        return false;
    if (*verdict == ACCESS_GRANTED) {
        if (c->satisfy == SATISFY_ALL)
            return false;
        /* Nobody is to be asked for a password who needs none. */
        response_remove(r, STR("WWW-Authenticate"));
        r->access_code = 0;
        *verdict = VERDICT_DECLINED;
        return true;
    }
    if (c->satisfy == SATISFY_ANY && refused) {
        /* Who could say who they are is told so. */
        if (r->access_code != 401)
            r->access_code = (uint16_t)*verdict;
        return false;
    }
    *verdict = refuse(r, c, *verdict);
    return true;
}

static int ask_the_rest(struct request *r)
{
    const struct access_conf *c = request_conf(r, &access_module);

    while (r->access_next < COUNT(checks)) {
        int verdict = checks[r->access_next++](r);
        if (verdict == VERDICT_PENDING || judge(r, c, &verdict))
            return verdict;
    }
    return conclude(r, c);
}

int access_run(struct request *r)
{
    r->access_next = 0;
    r->access_code = 0;
    return ask_the_rest(r);
}

void access_answer(struct request *r, int verdict)
{
    const struct access_conf *c = request_conf(r, &access_module);

    if (!judge(r, c, &verdict))
        verdict = ask_the_rest(r);
    if (verdict != VERDICT_PENDING)
        request_go_on(r, verdict);
}
