/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/accepted.h"

accepted_fn *accepted_hook;
