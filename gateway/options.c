/* SPDX-License-Identifier: BSD-2-Clause */
#include "options.h"

#include <openssl/crypto.h>
#include <openssl/opensslv.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "gateway/version.h"

/* The letters that take an argument, and what nginx calls it. */
static const struct {
    char letter;
    const char *requires;
    size_t offset;
} with_argument[] = {
    {'c', "file name", offsetof(struct options, conf)},
    {'p', "directory name", offsetof(struct options, prefix)},
    {'e', "file name", offsetof(struct options, error_log)},
    {'g', "parameter", offsetof(struct options, globals)},
    {'s', "parameter", offsetof(struct options, signal_name)},
};

static const struct {
    const char *name;
    int number;
} signals[] = {
    {"stop", SIGTERM},
    {"quit", SIGQUIT},
    {"reopen", SIGUSR1},
    {"reload", SIGHUP},
};

static bool set_flag(struct options *o, char letter)
{
    switch (letter) {
    case '?':
    case 'h':
        o->help = o->version = true;
        return true;
    case 'v':
        o->version = true;
        return true;
    case 'V':
        o->version = o->configure = true;
        return true;
    case 't':
        o->test = true;
        return true;
    case 'T':
        o->test = o->dump = true;
        return true;
    case 'q':
        o->quiet = true;
        return true;
    default:
        return false;
    }
}

static int set_signal(struct options *o, struct err *err)
{
    for (size_t i = 0; i < COUNT(signals); i++)
        if (strcmp(o->signal_name, signals[i].name) == 0) {
            o->signal = signals[i].number;
            return 0;
        }
    if (strncmp(o->signal_name, "restart=", 8) == 0 && o->signal_name[8]) {
        o->restart = o->signal_name + 8;
        o->signal = SIGUSR2;
        return 0;
    }
    return err_set(err, "invalid option: \"-s %s\"", o->signal_name);
}

/* One word of letters behind a '-'; *next is the word after it. */
static int parse_word(struct options *o, const char *word, char *const **next,
                      struct err *err)
{
    for (; *word; word++) {
        if (set_flag(o, *word))
            continue;
        size_t i = 0;
        while (i < COUNT(with_argument) && with_argument[i].letter != *word)
            i++;
        if (i == COUNT(with_argument))
            return err_set(err, "invalid option: \"%c\"", *word);

        const char *argument = word[1] ? word + 1 : **next;
        if (!argument || (!*argument && *word != 'g'))
            return err_set(err, "option \"-%c\" requires %s", *word,
                           with_argument[i].requires);
        if (!word[1])
            ++*next;
        *(const char **)(void *)((char *)o + with_argument[i].offset) =
            argument;
        return *word == 's' ? set_signal(o, err) : 0;
    }
    return 0;
}

int options_parse(struct options *o, int argc, char *const *argv,
                  struct err *err)
{
    *o = (struct options){0};
    char *const *next = argv + (argc > 0);
    while (*next) {
        const char *word = *next++;
        if (strcmp(word, "--directives") == 0)
            o->reference = true;
        else if (word[0] != '-')
            return err_set(err, "invalid option: \"%s\"", word);
        else if (parse_word(o, word + 1, &next, err) == -1)
            return -1;
    }
    return 0;
}

void options_print_help(void)
{
    fputs(
        "Usage: penstock [-?hvVtTq] [-s signal] [-p prefix]\n"
        "                [-e filename] [-c filename] [-g directives]\n"
        "\n"
        "Options:\n"
        "  -?,-h         : this help\n"
        "  -v            : show version and exit\n"
        "  -V            : show version and build options, then exit\n"
        "  -t            : test configuration and exit\n"
        "  -T            : test configuration, dump it and exit\n"
        "  -q            : suppress non-error messages during configuration "
        "testing\n"
        "  -s signal     : send signal to a master process: stop, quit, "
        "reopen, reload,\n"
        "                  restart=NAME (of a backend{})\n"
        "  -p prefix     : set prefix path (default: " PENSTOCK_PREFIX "/)\n"
        "  -e filename   : set error log file "
        "(default: " PENSTOCK_ERROR_LOG_PATH ")\n"
        "  -c filename   : set configuration file (default: " PENSTOCK_CONF_PATH
        ")\n"
        "  -g directives : set global directives out of configuration file\n"
        "  --directives  : print the reference of every directive and exit\n"
        "\n",
        stderr);
}

void options_print_version(bool configure)
{
    fputs("penstock version: penstock/" PENSTOCK_VERSION "\n", stderr);
    if (!configure)
        return;
    fputs("built by " PENSTOCK_BUILT_BY "\n", stderr);
    fprintf(stderr, "built with %s (running with %s)\n", OPENSSL_VERSION_TEXT,
            OpenSSL_version(OPENSSL_VERSION));
    fputs("configure arguments: " PENSTOCK_ARGUMENTS "\n", stderr);
}
