/* SPDX-License-Identifier: BSD-2-Clause */
#include "../../src/serve/filter/ssi_parser.h"
#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

enum { VALUE_MAX = 64 };

static void put_events(struct ssi_parser *parser, struct str *in, bool last,
                       struct buf *out)
{
    struct ssi_event ev;

    while (ssi_parser_next(parser, in, last, &ev)) {
        buf_printf(out, "\n%d %.*s|%.*s", (int)ev.type, STR_ARG(ev.name),
                   STR_ARG(ev.type == SSI_COMMAND ? ev.text : STR("")));
        check(ev.parameters_n <= SSI_PARAMETERS_MAX);
        for (size_t i = 0; i < ev.parameters_n && ev.type == SSI_COMMAND; i++)
            check(ev.parameters[i].value.n <= VALUE_MAX);
        if (ev.type == SSI_TEXT) { /* wherever it was cut */
            while (out->n && out->p[out->n - 1] != '\n')
                out->n--;
            out->n--;
            buf_put_str(out, ev.text);
        }
    }
    check(!in->n);
}

static void parse(const uint8_t *p, size_t n, size_t step, struct buf *out)
{
    struct ssi_parser parser;
    struct str none = STR("");

    ssi_parser_init(&parser, VALUE_MAX);
    for (size_t i = 0; i < n; i += step) {
        struct str in = str_n(p + i, n - i < step ? n - i : step);
        put_events(&parser, &in, false, out);
    }
    put_events(&parser, &none, true, out);
    ssi_parser_fini(&parser);
}

/* The same text, however it is cut. */
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct buf whole = {.max = 0}, cut = {.max = 0};

    if (n < 2)
        return 0;
    parse(p + 1, n - 1, n, &whole);
    parse(p + 1, n - 1, 1 + p[0] % 8u, &cut);
    check(str_eq(buf_str(&whole), buf_str(&cut)));
    buf_fini(&whole);
    buf_fini(&cut);
    return 0;
}
