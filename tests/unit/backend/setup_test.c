/* SPDX-License-Identifier: BSD-2-Clause */
#include "penstock_backend.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "support/test.h"

static char dir[] = "/tmp/psb-XXXXXX";
static char path[64];

static int make_dir(void **state)
{
    (void)state;
    bool made = mkdtemp(dir) != NULL;
    snprintf(path, sizeof path, "%s/s", dir);
    return made ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(dir);
}

static void makes_a_socket_and_takes_it_away(void **state)
{
    (void)state;
    struct stat st;
    psb_t *b = psb_new("t");
    assert_int_equal(psb_serve(b, path), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 0777, 0660);
    psb_free(b);
    assert_int_equal(stat(path, &st), -1);
}

static void takes_over_only_what_nobody_answers_on(void **state)
{
    (void)state;
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    psb_t *b = psb_new("t"), *other = psb_new("other");

    strcpy(addr.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(psb_serve(b, path), -1);
    assert_int_equal(errno, EADDRINUSE);
    close(fd); /* the file stays, dead */
    assert_int_equal(psb_serve(b, path), 0);
    assert_int_equal(psb_serve(other, path), -1);
    assert_non_null(strstr(psb_error(other), path));
    psb_free(other);
    assert_int_equal(access(path, F_OK), 0);
    psb_free(b);
}

static void leaves_alone_what_is_no_socket(void **state)
{
    (void)state;
    psb_t *b = psb_new("t");
    FILE *f = fopen(path, "w");
    fclose(f);
    assert_int_equal(psb_serve(b, path), -1);
    assert_int_equal(errno, EEXIST);
    assert_int_equal(access(path, F_OK), 0);
    unlink(path);
    assert_int_equal(symlink("/nowhere", path), 0);
    assert_int_equal(psb_serve(b, path), -1);
    unlink(path);
    psb_free(b);
}

static void refuses_paths_that_do_not_fit(void **state)
{
    (void)state;
    char name[200];
    psb_t *b = psb_new("t");
    memset(name, 'x', sizeof name);
    name[108] = '\0';
    assert_int_equal(psb_serve(b, name), -1);
    assert_int_equal(errno, ENAMETOOLONG);
    assert_int_equal(psb_serve(b, ""), -1);
    psb_free(b);
}

static void serves_what_it_inherits_when_it_listens(void **state)
{
    (void)state;
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    psb_t *b = psb_new("t");
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    strcpy(addr.sun_path, path);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    assert_int_equal(psb_serve_fd(b, fd), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(psb_serve_fd(b, fd), 0);
    assert_int_equal(psb_serve_fd(b, 999), -1);
    unsetenv("LISTEN_FDS");
    assert_int_equal(psb_serve_fd(b, -1), -1);
    psb_free(b);
    assert_int_equal(unlink(path), 0); /* it is not ours to remove */
}

static void accepts_a_gateway_and_greets_it(void **state)
{
    (void)state;
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct pollfd fds[8];
    char hello[256];
    psb_t *b = psb_new("t");

    assert_int_equal(psb_serve(b, path), 0);
    strcpy(addr.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    size_t n = psb_pollfds(b, fds, 8);
    assert_int_equal(poll(fds, n, 1000), 1);
    psb_process(b, fds, n);
    assert_true(recv(fd, hello, sizeof hello, MSG_DONTWAIT) > 64);
    assert_memory_equal(hello + 16, "SLUICE1\n", 8);
    close(fd);
    psb_free(b);
}

static void refuses_apps_without_a_name(void **state)
{
    (void)state;
    psb_t *b = psb_new("t");
    psb_app app = {.path_kind = 9, .name = "x"};
    assert_int_equal(psb_app_add(b, &app), -1);
    app = (psb_app){.name = ""};
    assert_int_equal(psb_app_add(b, &app), -1);
    app.name = "x";
    for (int i = 1; i <= 64; i++)
        assert_int_equal(psb_app_add(b, &app), i);
    assert_int_equal(psb_app_add(b, &app), -1);
    psb_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(makes_a_socket_and_takes_it_away),
        TEST(takes_over_only_what_nobody_answers_on),
        TEST(leaves_alone_what_is_no_socket),
        TEST(refuses_paths_that_do_not_fit),
        TEST(serves_what_it_inherits_when_it_listens),
        TEST(accepts_a_gateway_and_greets_it),
        TEST(refuses_apps_without_a_name),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
