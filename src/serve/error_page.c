/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/error_page.h"

#include "base/check.h"
#include "serve/core.h"

/* ---- the directive ---- */

static int add_page(struct conf *conf, struct conf_scope *scope,
                    struct conf_list *list, struct str code,
                    const struct error_page *model)
{
    uint64_t status;

    if (!str_to_u64(code, 599, &status) || status < 300)
        return conf_fail(conf, "value \"%.*s\" must be between 300 and 599",
                         STR_ARG(code));
    if (status == 499)
        return conf_fail(conf, "value \"499\" cannot be used in error_page");
    struct error_page *page = arena_copy(conf->arena, model, sizeof *model);
    page->status = (unsigned)status;
    conf_list_add(conf, scope, list, page);
    return 0;
}

int error_page_set(struct conf *conf, struct conf_scope *scope,
                   const struct directive *row, const struct conf_node *node,
                   void *field)
{
    struct error_page model = {.answer = -1};
    size_t codes = node->words_n - 2; /* words between name and URI */
    struct str to = conf_arg(node, node->words_n - 1);
    struct str maybe = conf_arg(node, codes);
    (void)row;

    if (codes >= 1 && maybe.n && maybe.p[0] == '=') {
        uint64_t answer = 0;
        if (codes < 2)
            return conf_fail(conf, "invalid number of arguments in "
                                   "\"error_page\" directive");
        if (maybe.n > 1 &&
            !str_to_u64(str_slice(maybe, 1, maybe.n), 999, &answer))
            return conf_fail(conf, "invalid value \"%.*s\"", STR_ARG(maybe));
        model.answer = (int)answer;
        codes--;
    }
    model.uri = value_compile(conf, conf->variables, to);
    if (!model.uri)
        return -1;
    if (value_is_constant(model.uri) && to.n && to.p[0] == '/') {
        size_t at = str_find(to, '?', 0);
        if (at < to.n) {
            model.args = str_slice(to, at + 1, to.n);
            model.uri =
                value_compile(conf, conf->variables, str_slice(to, 0, at));
        }
    }
    for (size_t i = 1; i <= codes; i++)
        if (add_page(conf, scope, field, conf_arg(node, i), &model) == -1)
            return -1;
    return 0;
}

/* ---- at run time ---- */

static const struct error_page *find_page(const struct request *r,
                                          unsigned status)
{
    const struct core_conf *conf = core_conf_of(r->location);

    if (r->error_page_used && !conf->recursive_error_pages)
        return NULL;
    for (size_t i = 0; i < conf->error_pages.n; i++) {
        const struct error_page *page = conf->error_pages.items[i];
        if (page->status == status)
            return page;
    }
    return NULL;
}

bool error_page_exists(const struct request *r, unsigned status)
{
    return find_page(r, status) != NULL;
}

static int redirect_to(struct request *r, const struct error_page *page,
                       struct str url)
{
    unsigned answer = page->answer > 0 ? (unsigned)page->answer : 302;

    response_reset(r);
    r->response.location = url;
    if (answer != 301 && answer != 302 && answer != 303 && answer != 307 &&
        answer != 308)
        answer = 302;
    return error_page_builtin(r, answer);
}

static int answer_with(struct request *r, const struct error_page *page,
                       unsigned status)
{
    struct str uri = value_eval(page->uri, &r->eval);

    /* What the client needs to ask again. */
    struct str challenge = response_find(r, STR("WWW-Authenticate"));

    r->error_page_used = true;
    if (!uri.n || (uri.p[0] != '/' && uri.p[0] != '@'))
        return redirect_to(r, page, uri);
    response_reset(r);
    if (challenge.p)
        response_add(r, STR("WWW-Authenticate"), challenge);
    /* What the page is served with; 0: whatever it gives itself. */
    r->error_status = page->answer < 0 ? status : (unsigned)page->answer;
    if (uri.p[0] == '@')
        return request_named_location(r, uri);
    if (r->head.method != METHOD_HEAD) {
        r->head.method = METHOD_GET;
        r->head.method_text = STR("GET");
    }
    return request_redirect_internally(r, uri, page->args);
}

static bool must_close(const struct request *r, unsigned status)
{
    switch (status) {
    case 400:
        return !r->well_framed;
    case 413:
    case 414:
    case 494:
    case 497:
    case 495:
    case 496:
    case 500:
    case 501:
    case 505:
        return true;
    default:
        return false;
    }
}

int error_page_answer(struct request *r, unsigned status)
{
    if (must_close(r, status))
        r->keep_alive = false;
    if (status == 444)
        return 499; /* nginx's "close without a word" */
    const struct error_page *page = find_page(r, status);
    if (page)
        return answer_with(r, page, status);
    /* An error page that fails itself answers with its own status. */
    r->error_status = 0;
    return error_page_builtin(r, status);
}

static struct str title_of(struct request *r, unsigned status)
{
    struct str reason = http_status_reason(status);

    switch (status) {
    case 494:
        return STR("400 Request Header Or Cookie Too Large");
    case 495:
        return STR("400 The SSL certificate error");
    case 496:
        return STR("400 No required SSL certificate was sent");
    case 497:
        return STR("400 The plain HTTP request was sent to HTTPS port");
    default:
        return arena_printf(r->arena, "%u %.*s", status, STR_ARG(reason));
    }
}

/* A client may have a hand in server_tokens with variables. */
static struct str escape_html(struct request *r, struct str s)
{
    struct buf b = {0};

    for (size_t i = 0; i < s.n; i++)
        if (strchr("<>&\"", s.p[i]))
            buf_printf(&b, "&#%d;", s.p[i]);
        else
            buf_put_u8(&b, (uint8_t)s.p[i]);
    s = arena_str(r->arena, buf_str(&b));
    buf_fini(&b);
    return s;
}

struct str error_page_text(struct request *r, unsigned status)
{
    struct str server = response_server(r);
    struct str title = title_of(r, status);

    return arena_printf(
        r->arena,
        "<!doctype html>\n<html>\n<head><title>%.*s</title></head>\n"
        "<body style=\"text-align:center;font-family:sans-serif\">\n"
        "<h1>%.*s</h1>\n<hr>\n<p>%.*s</p>\n</body>\n</html>\n",
        STR_ARG(title), STR_ARG(title), STR_ARG(escape_html(r, server)));
}

int error_page_builtin(struct request *r, unsigned status)
{
    bool has_body = status >= 300 && status != 304;
    struct str body = has_body ? error_page_text(r, status) : STR("");

    if (status >= 494 && status <= 497)
        status = 400;
    return request_respond(r, status, has_body ? STR("text/html") : STR(""),
                           body);
}
