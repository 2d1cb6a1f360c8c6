/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gateway's side of one link, and nothing else of a gateway: opens
 * sessions at a backend that echoes, and keeps one message in flight in each.
 *
 *     linkload SOCKET IN_FLIGHT SECONDS [BYTES]
 *
 * Prints "RESULT msgs=N seconds=S msgs_per_s=R".  Exit: 0, or 1 when the
 * backend breaks the link or answers something else.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "sluice/ack.h"
#include "sluice/app.h"
#include "sluice/hello.h"
#include "sluice/open.h"
#include "sluice/reader.h"

enum {
    IN_FLIGHT_MAX = 4096,
    INPUT_SIZE = 1 << 20,
    WINDOW = 256 * 1024, /* granted per session; given back by quarters */
};

static struct {
    int fd;
    struct sluice_reader reader;
    struct buf out, acks;
    uint8_t *in;
    size_t in_n;
    uint32_t sessions, bytes;
    uint32_t owed[IN_FLIGHT_MAX];
    uint64_t answered;
    uint8_t *message;
} link_;

static uint64_t cid_of(uint32_t slot)
{
    return sluice_cid_make(slot, 1, 0);
}

static void say(uint32_t slot)
{
    struct sluice_header h = {.type = SLUICE_BINARY, .cid = cid_of(slot)};
    if (!sluice_frame_put(&link_.out, &h,
                          str_n(link_.message, link_.bytes)))
        errx(1, "out of memory");
}

static void greet(void)
{
    struct sluice_hello h = {
        .version_min = SLUICE_VERSION,
        .version_max = SLUICE_VERSION,
        .role = SLUICE_ROLE_GATEWAY,
        .max_frame = SLUICE_MAX_FRAME_DEFAULT,
        .window = WINDOW,
        .link_window = 64 << 20,
        .epoch = 1,
    };
    sluice_hello_put(&link_.out, &h);
}

static void open_sessions(uint16_t app_id)
{
    struct sluice_open o = {
        .type = SLUICE_OPEN,
        .ws_version = 13,
        .http_version = 11,
        .flags = SLUICE_OPEN_BINARY_OK,
        .app_id = app_id,
        .window_out = WINDOW,
        .window_in = 64 * 1024,
        .max_message = 1 << 20,
    };
    for (uint32_t i = 0; i < link_.sessions; i++) {
        size_t at;
        o.cid = cid_of(i);
        bool ok = sluice_open_begin(&link_.out, &o, &at) &&
                  sluice_tlv_put(&link_.out, SLUICE_TAG_METHOD, STR("GET")) &&
                  sluice_tlv_put(&link_.out, SLUICE_TAG_TARGET, STR("/echo"));
        if (!sluice_frame_end(&link_.out, at, ok))
            errx(1, "out of memory");
    }
}

static void on_answer(const struct sluice_frame *f)
{
    uint32_t slot = sluice_cid_slot(f->header.cid);
    if (slot >= link_.sessions || f->header.length != link_.bytes)
        errx(1, "not the echo of what was sent");
    link_.answered++;
    link_.owed[slot] += f->header.length;
    if (link_.owed[slot] >= WINDOW / 4) {
        struct sluice_ack ack = {f->header.cid, link_.owed[slot], 0};
        sluice_ack_put_entry(&link_.acks, &ack);
        link_.owed[slot] = 0;
    }
    say(slot);
}

static void on_frame(const struct sluice_frame *f)
{
    static struct sluice_registered registered;

    switch (f->header.type) {
    case SLUICE_REGISTER:
        registered.app_id++;
        sluice_registered_put(&link_.out, &registered);
        break;
    case SLUICE_READY:
        open_sessions(registered.app_id);
        break;
    case SLUICE_ACCEPT:
        sluice_empty_put(&link_.out, SLUICE_OPENED, 0, f->header.cid);
        say(sluice_cid_slot(f->header.cid));
        break;
    case SLUICE_TEXT:
    case SLUICE_BINARY:
        on_answer(f);
        break;
    case SLUICE_ERROR:
    case SLUICE_BYE:
    case SLUICE_REJECT:
    case SLUICE_CLOSE:
    case SLUICE_TERMINATE:
        errx(1, "the backend sent %s", sluice_type_name(f->header.type));
    default:
        break; /* ACK: one small message each never runs out of it */
    }
}

static void take_frames(void)
{
    struct span in = {link_.in, link_.in_n};
    struct sluice_frame f;
    int rc;

    while ((rc = sluice_reader_next(&link_.reader, &in, &f)) == 1)
        on_frame(&f);
    if (rc < 0)
        errx(1, "the backend broke the protocol (code %d)", -rc);
    memmove(link_.in, in.p, in.n);
    link_.in_n = in.n;
}

static void write_all(struct buf *b)
{
    while (b->n) {
        ssize_t n = write(link_.fd, b->p, b->n);
        if (n <= 0)
            err(1, "write");
        buf_drop(b, (size_t)n);
    }
}

/* One read and one write a turn, as the gateway does under load. */
static void turn(void)
{
    ssize_t n = read(link_.fd, link_.in + link_.in_n, INPUT_SIZE - link_.in_n);
    if (n <= 0)
        errx(1, "the backend closed the link");
    link_.in_n += (size_t)n;
    take_frames();
    if (link_.acks.n) {
        struct sluice_header h = {.type = SLUICE_ACK};
        sluice_frame_put(&link_.out, &h, str_n(link_.acks.p, link_.acks.n));
        link_.acks.n = 0;
    }
    write_all(&link_.out);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int dial(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    if (strlen(path) >= sizeof at.sun_path)
        errx(1, "%s: too long for a socket", path);
    strcpy(at.sun_path, path);
    if (fd == -1 || connect(fd, (struct sockaddr *)&at, sizeof at) == -1)
        err(1, "%s", path);
    return fd;
}

static uint32_t number(const char *text, uint32_t max)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (*end || !n || n > max)
        errx(1, "\"%s\": expected a number from 1 to %u", text, max);
    return (uint32_t)n;
}

int main(int argc, char **argv)
{
    if (argc < 4 || argc > 5)
        errx(1, "usage: linkload SOCKET IN_FLIGHT SECONDS [BYTES]");
    link_.fd = dial(argv[1]);
    link_.sessions = number(argv[2], IN_FLIGHT_MAX);
    uint32_t seconds = number(argv[3], 3600);
    link_.bytes = argc > 4 ? number(argv[4], 16384) : 64;
    link_.message = calloc(1, link_.bytes);
    link_.in = malloc(INPUT_SIZE);
    if (!link_.message || !link_.in)
        errx(1, "out of memory");
    buf_init(&link_.out, SIZE_MAX);
    buf_init(&link_.acks, SIZE_MAX);
    sluice_reader_init(&link_.reader, SLUICE_ROLE_BACKEND,
                       SLUICE_MAX_FRAME_DEFAULT);
    greet();
    write_all(&link_.out);
    while (link_.answered < link_.sessions)
        turn();

    uint64_t before = link_.answered;
    double began = now(), t = began;
    while ((t = now()) < began + seconds)
        for (int i = 0; i < 32; i++)
            turn();
    double lasted = t - began;
    printf("RESULT msgs=%llu seconds=%.3f msgs_per_s=%.0f\n",
           (unsigned long long)(link_.answered - before), lasted,
           (double)(link_.answered - before) / lasted);
    return 0;
}
