/* SPDX-License-Identifier: BSD-2-Clause */
#include "relay.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bridge/link.h"

static struct {
    bridge_relay_fn *send;
    void *owner;
} relay;

void bridge_set_relay(bridge_relay_fn *send, void *owner)
{
    relay.send = send;
    relay.owner = owner;
}

bool relay_has_others(void)
{
    return relay.send != NULL;
}

static bool write_all(int fd, struct str s)
{
    while (s.n) {
        ssize_t n = write(fd, s.p, s.n);
        if (n <= 0)
            return false;
        s = str_slice(s, (size_t)n, s.n);
    }
    return true;
}

bool relay_send(const struct str *parts, size_t n)
{
    bool ok = true;

    if (!relay.send)
        return true;
    int fd = memfd_create("relay", MFD_CLOEXEC);
    if (fd == -1)
        return false;
    for (size_t i = 0; i < n; i++)
        ok = ok && write_all(fd, parts[i]);
    ok = ok && relay.send(relay.owner, fd);
    close(fd);
    return ok;
}

void bridge_relayed(int fd)
{
    struct stat st;

    if (!bridge.loop || fstat(fd, &st) == -1 || st.st_size <= 0)
        return;
    size_t n = (size_t)st.st_size;
    void *p = mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED) {
        log_errno(&log_process, LEVEL_ALERT, errno,
                  "what another worker sent can not be read");
        return;
    }
    struct str all = str_n(p, n);
    if ((unsigned char)all.p[0] > RELAY_PUBLICATION_MAX)
        inquiry_take(all);
    else
        publish_take(all);
    munmap(p, n);
}
