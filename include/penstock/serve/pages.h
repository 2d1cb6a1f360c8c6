/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/pages.h - responses that are made here: autoindex and empty_gif.
 */
#ifndef PENSTOCK_SERVE_PAGES_H
#define PENSTOCK_SERVE_PAGES_H

#include "serve/request.h"

extern struct conf_module autoindex_module;
extern struct conf_module empty_gif_module;

/* The list of the directory that the URI is, when autoindex is on; else
 * VERDICT_DECLINED. */
int autoindex_run(struct request *r);

#endif
