/* SPDX-License-Identifier: BSD-2-Clause */
/* io/wheel.h - the timer wheel, as the loop drives it. */
#ifndef PENSTOCK_IO_WHEEL_H
#define PENSTOCK_IO_WHEEL_H

struct loop;
struct timers;

struct timers *timers_create(struct loop *loop);
void timers_destroy(struct timers *ts);

/* Fire what is due by the loop's clock, and arm the next wake-up. */
void timers_run(struct timers *ts);

#endif
