/* Latest quotes of every symbol that terminals stream, read from shared memory. C11 and C++.
 *
 * mr_ticks_open() once, mr_ticks_find() once a symbol, mr_ticks_latest() as often as you like: no
 * lock, no syscall, nobody waits for you. Any number of readers, in any thread.
 * Crash: millrace-ticks may die and come back, the table stays; age tells (time_ns,
 * mr_ticks_alive). Prices as in millrace_client.h: units of 1e-8. */
#ifndef MILLRACE_TICKS_H
#define MILLRACE_TICKS_H

#include "gateway/client/millrace_client.h"

#ifdef __cplusplus
extern "C" {
#endif

/* NOLINTBEGIN(readability-identifier-naming): C names, as callers in C expect them */
typedef struct mr_ticks mr_ticks;

/* Maps the table at `path` ("/dev/shm/mrticks-NAME") read-only. *ticks is set on MR_OK only.
 * MR_UNKNOWN: there is none (yet). MR_BAD_SEGMENT: not a table of this version, or another
 * user's, or one that others may write to. MR_SYSTEM. */
int mr_ticks_open(const char* path, mr_ticks** ticks);
/* NULL is allowed. */
void mr_ticks_close(mr_ticks* ticks);

/* The row of `symbol` (canonical name); it never changes. MR_UNKNOWN: nobody has streamed it yet.
 */
int mr_ticks_find(const mr_ticks* ticks, const char* symbol, uint32_t* row);
/* The latest quote; time_ns is when it reached this host, UTC; of one that was told again at a
 * terminal's connection, the source's time. MR_NO_PRICE: none yet, or being written just now (three
 * tries). */
int mr_ticks_latest(const mr_ticks* ticks, uint32_t row, mr_quote* quote);
/* When millrace-ticks last said that it lives, ns since 1970; each 5 ms while it does. 0 = never.
 */
int64_t mr_ticks_alive(const mr_ticks* ticks);
/* NOLINTEND(readability-identifier-naming) */
#ifdef __cplusplus
}
#endif
#endif
