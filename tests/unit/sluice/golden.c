/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/sluice/golden.h"

#include "unit/sluice/again.h"

static void add_hex(struct buf *out, struct str hex)
{
    for (size_t i = 0; i + 1 < hex.n; i += 2) {
        int high = ascii_hex(hex.p[i]), low = ascii_hex(hex.p[i + 1]);
        if (high < 0 || low < 0)
            fail_msg("not hex: %.*s", STR_ARG(hex));
        buf_put_u8(out, (uint8_t)(high << 4 | low));
    }
}

struct golden *golden_load(size_t *n)
{
    struct golden *all = NULL;
    char line[1024];
    FILE *file = fopen(GOLDEN, "r");

    *n = 0;
    if (!file)
        fail_msg("cannot open " GOLDEN);
    while (fgets(line, sizeof line, file)) {
        struct str s = str_trim(str_slice(str_c(line), 0, strcspn(line, "\n")));
        if (str_starts(s, STR("name: "))) {
            all = xrealloc(all, (*n + 1) * sizeof *all);
            all[*n] = (struct golden){0};
            snprintf(all[(*n)++].name, sizeof all->name, "%.*s",
                     STR_ARG(str_slice(s, 6, s.n)));
        } else if (str_starts(s, STR("hex: "))) {
            add_hex(&all[*n - 1].bytes, str_slice(s, 5, s.n));
        }
    }
    fclose(file);
    return all;
}

void golden_free(struct golden *g, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_fini(&g[i].bytes);
    free(g);
}

struct sluice_frame golden_frame(const struct golden *g)
{
    struct sluice_frame f = {.header = sluice_header_get(g->bytes.p)};

    assert_int_equal(g->bytes.n, SLUICE_HEADER_SIZE + f.header.length);
    f.payload = (struct span){g->bytes.p + SLUICE_HEADER_SIZE, f.header.length};
    return f;
}

void assert_golden(struct buf *out, const char *name)
{
    size_t n;
    struct golden *all = golden_load(&n);
    const struct golden *g = NULL;

    for (size_t i = 0; i < n; i++)
        if (strcmp(all[i].name, name) == 0)
            g = &all[i];
    if (!g)
        fail_msg("no golden vector \"%s\"", name);
    print_message("%s\n", name);
    assert_int_equal(out->n, g->bytes.n);
    assert_memory_equal(out->p, g->bytes.p, g->bytes.n);

    struct sluice_frame f = golden_frame(g);
    struct buf second = {0};
    assert_int_equal(again(&second, &f), 0);
    assert_int_equal(second.n, g->bytes.n);
    assert_memory_equal(second.p, g->bytes.p, g->bytes.n);
    buf_fini(&second);
    golden_free(all, n);
    buf_fini(out);
}
