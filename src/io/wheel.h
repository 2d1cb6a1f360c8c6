/* SPDX-License-Identifier: BSD-2-Clause */
/* io/wheel.h - the timer wheel, as the loop drives it. */
#ifndef PENSTOCK_IO_WHEEL_H
#define PENSTOCK_IO_WHEEL_H

struct timers;

struct timers *timers_create(void);
void timers_destroy(struct timers *ts);

/* How long nothing is due, or -1: nothing is set. */
int timers_wait_ms(const struct timers *ts);

/* Fire what is due by the loop's clock. */
void timers_run(struct timers *ts);

#endif
