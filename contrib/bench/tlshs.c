/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tlshs - TLS connections per second: connect, handshake, one GET with
 * Connection: close, read to the end, close, and again.
 *
 * usage: tlshs IP:PORT PATH CONNECTIONS SECONDS [resume] [tls12]
 * Prints "connections= seconds= resumed= errors= p50_us= p99_us=".
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
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
    EVENTS_MAX = 256,
    LATENCIES_MAX = 1 << 20,
    SOURCES = 16, /* loopback addresses to dial from: ports are scarce */
};

struct connection {
    int fd;
    SSL *ssl;
    uint64_t begun_ns;
    bool asked, answered;
};

static struct {
    SSL_CTX *ssl;
    SSL_SESSION *session; /* the newest; NULL: none yet */
    struct sockaddr_in to;
    char request[512];
    size_t request_n;
    int epoll;
    bool resume;
    unsigned dialled;
    uint64_t done, resumed, errors;
    uint32_t latencies_us[LATENCIES_MAX];
} load;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static _Noreturn void die(const char *what)
{
    perror(what);
    exit(1);
}

static int on_session(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl;
    SSL_SESSION_free(load.session);
    load.session = session;
    return 1;
}

static void dial(struct connection *c)
{
    struct sockaddr_in from = {.sin_family = AF_INET};
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET,
                            .data.ptr = c};

    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + load.dialled++ % SOURCES);
    *c = (struct connection){.begun_ns = now_ns()};
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd == -1)
        die("socket");
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){1},
               sizeof(int));
    if (bind(c->fd, (struct sockaddr *)&from, sizeof from) == -1)
        die("bind");
    if (connect(c->fd, (struct sockaddr *)&load.to, sizeof load.to) == -1 &&
        errno != EINPROGRESS)
        die("connect");
    c->ssl = SSL_new(load.ssl);
    SSL_set_fd(c->ssl, c->fd);
    SSL_set_connect_state(c->ssl);
    if (load.resume && load.session) {
        /* A copy: OpenSSL gives a session up that another connection has got
         * a new ticket for. */
        SSL_SESSION *copy = SSL_SESSION_dup(load.session);
        SSL_set_session(c->ssl, copy);
        SSL_SESSION_free(copy);
    }
    if (epoll_ctl(load.epoll, EPOLL_CTL_ADD, c->fd, &e) == -1)
        die("epoll_ctl");
}

static bool would_block(struct connection *c, int rc)
{
    int why = SSL_get_error(c->ssl, rc);
    ERR_clear_error();
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE;
}

/* True when the connection is over. */
static bool handshake(struct connection *c)
{
    int rc = SSL_do_handshake(c->ssl);
    if (rc != 1) {
        bool over = !would_block(c, rc);
        load.errors += over;
        return over;
    }
    c->asked = true;
    load.resumed += (uint64_t)SSL_session_reused(c->ssl);
    SSL_write(c->ssl, load.request, (int)load.request_n);
    return false;
}

static bool read_all(struct connection *c)
{
    static char bytes[65536];
    int n;

    while ((n = SSL_read(c->ssl, bytes, sizeof bytes)) > 0)
        if (!c->answered)
            c->answered = n > 12 && !memcmp(bytes, "HTTP/1.1 200", 12);
    if (would_block(c, n))
        return false;
    load.errors += !c->answered;
    return true;
}

static void finish(struct connection *c)
{
    if (load.done < LATENCIES_MAX)
        load.latencies_us[load.done] =
            (uint32_t)((now_ns() - c->begun_ns) / 1000);
    load.done++;
    if (c->asked)
        SSL_shutdown(c->ssl);
    SSL_free(c->ssl);
    close(c->fd);
}

static void on_event(struct connection *c)
{
    bool over = !c->asked && handshake(c);
    if (c->asked && !over)
        over = read_all(c);
    if (over) {
        finish(c);
        dial(c);
    }
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void report(double seconds)
{
    size_t n = load.done < LATENCIES_MAX ? load.done : LATENCIES_MAX;
    qsort(load.latencies_us, n, sizeof *load.latencies_us, compare);
    printf("connections=%llu seconds=%.3f resumed=%llu errors=%llu "
           "p50_us=%u p99_us=%u\n",
           (unsigned long long)load.done, seconds,
           (unsigned long long)load.resumed, (unsigned long long)load.errors,
           n ? load.latencies_us[n / 2] : 0,
           n ? load.latencies_us[n * 99 / 100] : 0);
}

int main(int argc, char **argv)
{
    if (argc < 5 || !strchr(argv[1], ':')) {
        fputs("usage: tlshs IP:PORT PATH CONNECTIONS SECONDS [resume] "
              "[tls12]\n",
              stderr);
        return 2;
    }
    char *colon = strchr(argv[1], ':');
    *colon = 0;
    load.to.sin_family = AF_INET;
    load.to.sin_port = htons((uint16_t)atoi(colon + 1));
    inet_pton(AF_INET, argv[1], &load.to.sin_addr);
    load.request_n = (size_t)snprintf(
        load.request, sizeof load.request,
        "GET %.400s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", argv[2]);
    load.ssl = SSL_CTX_new(TLS_client_method());
    for (int i = 5; i < argc; i++) {
        load.resume |= !strcmp(argv[i], "resume");
        if (!strcmp(argv[i], "tls12"))
            SSL_CTX_set_max_proto_version(load.ssl, TLS1_2_VERSION);
    }
    SSL_CTX_set_session_cache_mode(load.ssl, SSL_SESS_CACHE_CLIENT |
                                                 SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(load.ssl, on_session);
    load.epoll = epoll_create1(0);

    size_t n = (size_t)atoi(argv[3]);
    struct connection *all = calloc(n, sizeof *all);
    uint64_t begun_ns = now_ns();
    uint64_t end_ns = begun_ns + (uint64_t)(atof(argv[4]) * 1e9);
    for (size_t i = 0; i < n; i++)
        dial(&all[i]);
    while (now_ns() < end_ns) {
        struct epoll_event events[EVENTS_MAX];
        int got = epoll_wait(load.epoll, events, EVENTS_MAX, 100);
        for (int i = 0; i < got; i++)
            on_event(events[i].data.ptr);
    }
    report((double)(now_ns() - begun_ns) / 1e9);
    return 0;
}
