/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Clients that number their messages, and check the numbers that come back.
 *
 * usage: load PORT CLIENTS SECONDS SEED
 *
 * A client sends "N ...", N = 1, 2, ...; the backend answers each with "N", or
 * "N replay" when it has the message a second time.  So the next answer must
 * be the one after the last, or marked and old; anything else is an error, and
 * so is an end that the client did not ask for.  Some clients read slowly, some
 * leave when all is answered and come again, some send garbage.  Everything
 * comes from the seed.  The last line says what happened; exit 1 when
 * something was wrong.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    AHEAD_MAX = 8, /* messages without an answer */
    IN_MAX = 4096, /* bytes of a frame or head from the gateway */
    ERRORS_SHOWN = 20,
    SETTLE_MS = 60000, /* for the last answers */
};

enum kind { STEADY, SLOW, RESTLESS, HOSTILE };
enum state { CLOSED, CONNECTING, UPGRADING, OPEN, CLOSING };

struct client {
    int fd;
    int number;
    enum kind kind;
    enum state state;
    uint32_t sent, answered, leave_after;
    uint64_t next_ms;  /* to send, or to connect */
    uint64_t read_ms;  /* a slow one reads no more until then */
    uint64_t begun_ms; /* the connection */
    char in[IN_MAX];
    size_t in_n;
    char *out;
    size_t out_n, out_at;
};

static struct {
    unsigned long sent, answered, replays, sessions, refused, disconnects,
        errors, hostile;
} total;
static int epfd, port;
static uint64_t now_ms, end_ms, rng;
static volatile sig_atomic_t stop_asked; /* SIGUSR1: end before the time */

static void on_stop(int sig)
{
    (void)sig;
    stop_asked = 1;
}

static uint64_t clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static uint32_t chance(uint32_t below)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return (uint32_t)(rng >> 32) % below;
}

static void wrong(struct client *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void wrong(struct client *c, const char *format, ...)
{
    va_list args;

    if (total.errors++ >= ERRORS_SHOWN)
        return;
    printf("client %d (sent %u, answered %u): ", c->number, c->sent,
           c->answered);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
}

static void watch(struct client *c)
{
    struct epoll_event e = {.data.ptr = c};
    if (c->out_n > c->out_at || c->state == CONNECTING)
        e.events |= EPOLLOUT;
    if (c->read_ms <= now_ms)
        e.events |= EPOLLIN;
    epoll_ctl(epfd, EPOLL_CTL_MOD, c->fd, &e);
}

static void drop(struct client *c)
{
    if (c->fd != -1)
        close(c->fd);
    free(c->out);
    c->out = NULL;
    c->out_n = c->out_at = c->in_n = 0;
    c->fd = -1;
    c->state = CLOSED;
    c->next_ms = now_ms + 50 + chance(500);
}

static void flush(struct client *c)
{
    while (c->out_at < c->out_n) {
        ssize_t n =
            send(c->fd, c->out + c->out_at, c->out_n - c->out_at, MSG_NOSIGNAL);
        if (n <= 0)
            break;
        c->out_at += (size_t)n;
    }
    if (c->out_at == c->out_n)
        c->out_n = c->out_at = 0;
    watch(c);
}

static void put(struct client *c, const void *p, size_t n)
{
    if (c->out_at && c->out_at == c->out_n)
        c->out_n = c->out_at = 0;
    c->out = realloc(c->out, c->out_n + n);
    memcpy(c->out + c->out_n, p, n);
    c->out_n += n;
}

/* One masked frame. */
static void put_frame(struct client *c, int first, const char *p, size_t n)
{
    uint8_t head[14] = {(uint8_t)first};
    size_t at = 2;

    if (n < 126) {
        head[1] = (uint8_t)(0x80 | n);
    } else if (n < 65536) {
        head[1] = 0x80 | 126;
        head[2] = (uint8_t)(n >> 8);
        head[3] = (uint8_t)n;
        at = 4;
    } else {
        head[1] = 0x80 | 127;
        for (int i = 0; i < 8; i++)
            head[2 + i] = (uint8_t)((uint64_t)n >> (56 - 8 * i));
        at = 10;
    }
    at += 4; /* a mask of zeros */
    put(c, head, at);
    put(c, p, n);
}

static void go(struct client *c)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd == -1) {
        perror("socket");
        exit(2);
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    connect(c->fd, (struct sockaddr *)&to, sizeof to);
    struct epoll_event e = {.events = EPOLLOUT, .data.ptr = c};
    epoll_ctl(epfd, EPOLL_CTL_ADD, c->fd, &e);
    c->state = CONNECTING;
    c->sent = c->answered = 0;
    c->read_ms = 0;
    c->begun_ms = now_ms;
    c->leave_after = c->kind == RESTLESS ? 1 + chance(40) : 0;
}

static void send_upgrade(struct client *c)
{
    char head[256];
    int n = snprintf(head, sizeof head,
                     "GET /%s HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                     "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
                     c->kind == HOSTILE && chance(2) ? "garbage" : "ws");
    put(c, head, (size_t)n);
    c->state = UPGRADING;
    flush(c);
}

/* ---- what is sent ---- */

static void send_number(struct client *c)
{
    static char text[130000];
    size_t n = 16 + chance(chance(50) ? 200 : 20000);

    if (!chance(500))
        n = 60000 + chance(60000);
    int head = snprintf(text, 16, "%u ", ++c->sent);
    memset(text + head, 'a' + (int)(c->sent % 26), n - (size_t)head);
    if (chance(20) || n < 64) {
        put_frame(c, 0x81, text, n);
    } else {
        put_frame(c, 0x01, text, n / 2);
        put_frame(c, 0x80, text + n / 2, n - n / 2);
    }
    total.sent++;
    flush(c);
}

static void send_garbage(struct client *c)
{
    char bytes[300];
    size_t n = 1 + chance(sizeof bytes - 1);

    for (size_t i = 0; i < n; i++)
        bytes[i] = (char)chance(256);
    if (chance(2))
        put_frame(c, 0x81, bytes, n); /* text that is none */
    else
        put(c, bytes, n);
    total.hostile++;
    flush(c);
}

static bool is_ending(void)
{
    return now_ms >= end_ms;
}

static void act(struct client *c)
{
    if (c->state == CLOSED && !is_ending()) {
        go(c);
    } else if (c->kind == HOSTILE && c->state == OPEN) {
        if (c->out_n < 100000)
            send_garbage(c);
        if (!chance(10))
            drop(c);
    } else if (c->state == OPEN) {
        bool leaves = c->leave_after && c->sent >= c->leave_after;
        bool done = c->sent == c->answered;
        if ((leaves || is_ending()) && done) {
            put_frame(c, 0x88, "\3\xe8", 2);
            c->state = CLOSING;
            flush(c);
        } else if (!leaves && !is_ending() &&
                   c->sent - c->answered < AHEAD_MAX && c->out_n < 100000) {
            send_number(c);
        }
        if (c->kind == SLOW && !chance(30) && c->state == OPEN) {
            c->read_ms = now_ms + 500 + chance(2000);
            watch(c);
        }
    }
    c->next_ms = now_ms + 20 + chance(c->kind == STEADY ? 400 : 100);
}

/* ---- what comes ---- */

static void take_answer(struct client *c, const char *p, size_t n)
{
    char text[64] = "";
    unsigned number;

    memcpy(text, p, n < sizeof text - 1 ? n : sizeof text - 1);
    if (sscanf(text, "%u", &number) != 1) {
        wrong(c, "got \"%s\"", text);
        return;
    }
    bool replay = strstr(text, "replay") != NULL;
    total.replays += replay;
    if (number == c->answered + 1 && number <= c->sent) {
        c->answered = number;
        total.answered++;
    } else if (!replay || number > c->answered) {
        wrong(c, "answer %s comes after %u", text, c->answered);
    }
}

static void end(struct client *c, const char *how)
{
    if (c->kind != HOSTILE && c->state == OPEN) {
        total.disconnects++;
        wrong(c, "disconnected: %s", how);
    }
    if (c->kind != HOSTILE && c->state == UPGRADING)
        total.refused++;
    drop(c);
}

/* One frame; false when more is needed, or nothing is left to read from. */
static bool take_frame(struct client *c)
{
    const uint8_t *p = (const uint8_t *)c->in;
    size_t head = 2, n;

    if (c->in_n < 2)
        return false;
    n = p[1] & 0x7f;
    if (n == 126) {
        if (c->in_n < 4)
            return false;
        n = (size_t)p[2] << 8 | p[3];
        head = 4;
    }
    if (head + n > IN_MAX) {
        end(c, "a frame that is too large");
        return false;
    }
    if (c->in_n < head + n)
        return false;
    if (p[0] == 0x88) {
        char how[160];
        snprintf(how, sizeof how, "close %d %.*s",
                 n > 1 ? p[head] << 8 | p[head + 1] : 0, n > 2 ? (int)n - 2 : 0,
                 c->in + head + 2);
        end(c, how);
        return false;
    }
    if (p[0] == 0x81 && c->kind != HOSTILE)
        take_answer(c, c->in + head, n);
    c->in_n -= head + n;
    memmove(c->in, c->in + head + n, c->in_n);
    return true;
}

static void take_head(struct client *c)
{
    char *blank = memmem(c->in, c->in_n, "\r\n\r\n", 4);

    if (!blank)
        return;
    if (strncmp(c->in, "HTTP/1.1 101 ", 13) != 0) {
        /* Between two backends a handshake may be refused. */
        if (c->kind != HOSTILE && strncmp(c->in, "HTTP/1.1 50", 11) != 0)
            wrong(c, "%.*s", 30, c->in);
        end(c, "refused");
        return;
    }
    size_t n = (size_t)(blank + 4 - c->in);
    c->in_n -= n;
    memmove(c->in, blank + 4, c->in_n);
    c->state = OPEN;
    total.sessions += c->kind != HOSTILE;
}

static void read_some(struct client *c)
{
    while (c->fd != -1) {
        ssize_t n = recv(c->fd, c->in + c->in_n, IN_MAX - c->in_n, 0);
        if (n == -1 && errno == EAGAIN)
            return;
        if (n <= 0) {
            end(c, n == 0 ? "EOF" : strerror(errno));
            return;
        }
        c->in_n += (size_t)n;
        if (c->state == UPGRADING)
            take_head(c);
        while (c->fd != -1 && c->state != UPGRADING && take_frame(c))
            ;
        if (c->kind == HOSTILE && c->in_n == IN_MAX)
            c->in_n = 0;
    }
}

static void on_event(struct client *c, uint32_t events)
{
    if (c->state == CONNECTING) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error)
            drop(c);
        else
            send_upgrade(c);
        return;
    }
    if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
        read_some(c);
    if (c->fd != -1 && events & EPOLLOUT)
        flush(c);
}

/* ---- the run ---- */

static bool is_over(struct client *clients, int n)
{
    if (!is_ending())
        return false;
    for (int i = 0; i < n; i++)
        if (clients[i].kind != HOSTILE && clients[i].state != CLOSED)
            return false;
    return true;
}

static void tick(struct client *clients, int n)
{
    for (int i = 0; i < n; i++) {
        struct client *c = &clients[i];
        if (c->read_ms && c->read_ms <= now_ms && c->fd != -1) {
            c->read_ms = 0;
            watch(c);
        }
        if (c->next_ms <= now_ms)
            act(c);
    }
}

int main(int argc, char **argv)
{
    struct epoll_event events[256];

    if (argc != 5) {
        fprintf(stderr, "usage: load PORT CLIENTS SECONDS SEED\n");
        return 2;
    }
    int n = atoi(argv[2]);
    struct client *clients = calloc((size_t)n, sizeof *clients);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGUSR1, on_stop);
    port = atoi(argv[1]);
    rng = strtoull(argv[4], NULL, 0) * 2654435761u + 88172645463325252u;
    epfd = epoll_create1(EPOLL_CLOEXEC);
    now_ms = clock_ms();
    end_ms = now_ms + (uint64_t)atoi(argv[3]) * 1000;
    for (int i = 0; i < n; i++) {
        uint32_t draw = chance(100);
        clients[i] = (struct client){
            .fd = -1,
            .number = i,
            .kind = draw < 80   ? STEADY
                    : draw < 88 ? SLOW
                    : draw < 96 ? RESTLESS
                                : HOSTILE,
            .next_ms = now_ms + chance(1000),
        };
    }
    while (!is_over(clients, n) && now_ms < end_ms + SETTLE_MS) {
        int got = epoll_wait(epfd, events, 256, 10);
        now_ms = clock_ms();
        if (stop_asked && end_ms > now_ms)
            end_ms = now_ms;
        for (int i = 0; i < got; i++)
            on_event(events[i].data.ptr, events[i].events);
        tick(clients, n);
    }
    for (int i = 0; i < n; i++)
        if (clients[i].kind != HOSTILE && clients[i].sent &&
            clients[i].state == OPEN)
            wrong(&clients[i], "%u messages without an answer",
                  clients[i].sent - clients[i].answered);
    printf("sessions %lu, sent %lu, answered %lu, replays %lu, refused %lu, "
           "garbage %lu, disconnects %lu, errors %lu\n",
           total.sessions, total.sent, total.answered, total.replays,
           total.refused, total.hostile, total.disconnects, total.errors);
    for (int i = 0; i < n; i++)
        drop(&clients[i]);
    free(clients);
    return total.errors || total.sent != total.answered || !total.sent;
}
