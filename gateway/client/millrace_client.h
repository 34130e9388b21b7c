/* The strategy client: signals into Millrace through shared memory, results back. C11 and C++.
 *
 * One client object is one strategy: the one producer of its `signals` ring and the one consumer
 * of its `results` ring. A strategy is configured by name ("strategies" in the configuration) and
 * can be open once on a host; a second open is refused and told who holds it.
 *
 * Threads: one thread at a time per client (several clients in one process are fine). No function
 * blocks but mr_wait(). mr_submit(), mr_poll_results() and mr_tick() allocate nothing and make no
 * syscall, but that mr_submit() wakes the engine if it sleeps and looks once a second whether the
 * segment is still the one in use (one stat()).
 *
 * Order: signals are taken in the order of mr_submit(). Results arrive in the order in which they
 * were caused; (seq, k) grows and never repeats but after a crash of this process (below).
 *
 * Results missed: none while the segment lives. A full results ring stops the strategy that does
 * not read it, and results wait in it for a strategy that died. With the segment goes what lay
 * unread in it (a clean stop, a reboot). The state of each signal can be asked for at any time; so
 * does a strategy that missed results, or cannot know whether it did:
 *
 *     submit the signal again, unchanged (the first id and send_time_ns)
 *       MR_DUPLICATE    it is known: accounts, filled, rejected so far. Nothing is done twice
 *       MR_SIGNAL_DONE  right behind it if every order is final, with the same counts; else it
 *                       follows in its time, behind the MR_ORDER_DONE of each order that is not
 *                       final yet
 *     or MR_ACCEPTED    it never arrived, and is carried out now
 *     or MR_REFUSED     nothing is done. STALE_SIGNAL: it is older than 7 days and is not known
 *                       (any more): it never arrived, or it is over and none of its positions open
 *
 * The answers lie in the ring behind everything that was caused before them: what comes after is
 * news. Not told again is the MR_ORDER_DONE of each account that was final before the gap: volume,
 * price and magic are in the store (`millrace query orders`).
 *
 * Crash: a strategy killed inside mr_submit() has either published the whole signal or nothing.
 * After a restart open again: signals continue behind the last one published, results at the first
 * one not yet handled. A result whose callback had not returned is delivered once more: compare
 * (seq, k). Submitting a signal again under the same id is safe: it is answered MR_DUPLICATE and
 * done once. So: write the signal down before mr_submit(), until MR_REFUSED or MR_SIGNAL_DONE.
 * After a crash of the strategy submit again what has no MR_ACCEPTED, MR_DUPLICATE or MR_REFUSED;
 * if the segment may have been another since, all that is written down. A crash or restart of any
 * Millrace process needs no action here. After a reboot, a clean stop, or when Millrace was set up
 * anew, calls answer MR_GONE: close, open again, submit again all that is written down.
 *
 * fork(): the child must not use the parent's client; calls there answer MR_FORKED. */
#ifndef MILLRACE_CLIENT_H
#define MILLRACE_CLIENT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* NOLINTBEGIN(readability-identifier-naming): C names, as callers in C expect them */
/* Prices, volumes and ratios are integers in units of 1e-8: 1.23456 is 123456000, 0.10 lots is
 * 10000000. */
#define MR_SCALE INT64_C(100000000)

/* Times are ns since 1970 (UTC) on Millrace's clock; see mr_now(). */

/* What the functions return. 0 is success; mr_error_text() says what went wrong and the mend. */
enum mr_error {
    MR_OK = 0,
    MR_FULL = -1,        /* ring full: the engine lags. Submit again in a moment */
    MR_JOURNAL = -2,     /* an open or modify while the journal does not run (closes and cancels go
                            on), or Millrace stops. Submit again later */
    MR_BAD_SIGNAL = -3,  /* a field is out of range. Do not submit again */
    MR_UNKNOWN = -4,     /* no such group, symbol or strategy */
    MR_BUSY = -5,        /* the strategy is open already, here or in another process */
    MR_GONE = -6,        /* the segment was replaced or the host rebooted. Close and open again */
    MR_BAD_SEGMENT = -7, /* not a segment of this version, or damaged */
    MR_SYSTEM = -8,      /* the system refused: permissions, memory, ... */
    MR_NO_PRICE = -9,    /* the symbol has no tick yet */
    MR_FORKED = -10,     /* used in a child of the process that opened it */
    MR_BAD_CALL = -11    /* a null pointer where none is allowed */
};

enum mr_action { MR_OPEN = 1, MR_CLOSE = 2, MR_MODIFY = 3, MR_CANCEL = 4 };
enum mr_side { MR_BUY = 0, MR_SELL = 1 };
enum mr_price_kind { MR_MARKET = 0, MR_LIMIT = 1, MR_STOP = 2 };
/* Held while its market is closed, until its time is over; else it is refused at once. */
enum mr_flags { MR_HOLD_UNTIL_OPEN = 1 };

/* A UUID of your choice, never zero, never used for two signals. */
typedef struct mr_id {
    uint64_t hi;
    uint64_t lo;
} mr_id;

/* One signal, for all accounts of a group. Zero it first: `mr_signal s = {0};` in C. */
typedef struct mr_signal {
    mr_id id;
    mr_id target;            /* MR_CLOSE, MR_MODIFY, MR_CANCEL: the opening signal's id */
    uint32_t group;          /* mr_lookup_group() */
    uint32_t symbol;         /* mr_lookup_symbol() */
    uint8_t action;          /* enum mr_action */
    uint8_t side;            /* enum mr_side */
    uint8_t price_kind;      /* enum mr_price_kind */
    uint8_t flags;           /* 0 or MR_HOLD_UNTIL_OPEN */
    uint32_t ttl_ms;         /* life from send_time_ns; 0 = 30000; at most 86400000 */
    int64_t volume;          /* MR_OPEN: > 0; MR_CLOSE: share of the opening volume, 0 = all */
    int64_t price;           /* MR_LIMIT, MR_STOP; MR_MODIFY of a pending order */
    int64_t stop_loss;       /* 0 = none */
    int64_t take_profit;     /* 0 = none */
    int64_t reference_price; /* what you saw, for the price collar; 0 = price at acceptance */
    int64_t send_time_ns;    /* when you decided; 0 = now. On a resend: the first one's */
} mr_signal;

enum mr_result_kind {
    MR_ACCEPTED = 1,    /* in the ledger; survives any crash of any process */
    MR_REFUSED = 2,     /* nothing will be done; see reason */
    MR_DUPLICATE = 3,   /* known id: the original's outcome stands; original_seq, accounts */
    MR_ORDER_DONE = 4,  /* one account's order is final: ord_status, cum_volume, avg_price */
    MR_IN_DOUBT = 5,    /* one account's order is in doubt; an MR_ORDER_DONE follows */
    MR_SIGNAL_DONE = 6, /* every order of the signal is final: accounts, filled, rejected */
    MR_WORKING = 7      /* one account's pending order works at the broker */
};

/* What became of a signal. */
typedef struct mr_result {
    uint64_t seq; /* (seq, k) orders results and never repeats */
    uint32_t k;
    uint8_t kind;       /* enum mr_result_kind */
    uint8_t ord_status; /* FIX OrdStatus character: '2' filled, '4' cancelled, '8' rejected,
                           'C' expired, '?' in doubt */
    uint16_t reason;    /* mr_reason_text(), mr_reason_mend() */
    mr_id signal;
    uint32_t source;
    uint32_t account;   /* 0xFFFFFFFF = none */
    int64_t cum_volume; /* executed */
    int64_t avg_price;  /* volume-weighted */
    uint32_t retcode;   /* MT5 trade server return code, 0 = none */
    uint32_t accounts;
    uint32_t filled;
    uint32_t rejected;
    uint64_t original_seq; /* MR_DUPLICATE, and MR_SIGNAL_DONE told again: when the signal was
                              accepted. MR_REFUSED: when it was first refused. 0 = told first */
    int64_t time_ns;
    uint64_t magic;       /* the order's id at the broker */
    int64_t edge_time_ns; /* when mr_submit() took the signal, for latency end to end */
} mr_result;

typedef struct mr_quote {
    int64_t bid;
    int64_t ask;
    int64_t time_ns;
} mr_quote;

typedef struct mr_client mr_client;

/* Attaches strategy `strategy` to the segment at `segment_path` (e.g. "/dev/shm/millrace") and
 * takes its role (a lock that the kernel releases when this process dies, however it dies).
 * *client is set on MR_OK only. Allocates, makes syscalls.
 * MR_BUSY names the holder's pid; MR_UNKNOWN lists what is configured. */
int mr_open(const char* segment_path, const char* strategy, mr_client** client);

/* Gives the role back and unmaps. What was submitted stays submitted. NULL is allowed. */
void mr_close(mr_client* client);

/* Id of a configured group or symbol (canonical name, no broker prefix or suffix).
 * MR_UNKNOWN if there is none (yet): names come with the configuration, at run time too. */
int mr_lookup_group(mr_client* client, const char* name, uint32_t* id);
int mr_lookup_symbol(mr_client* client, const char* name, uint32_t* id);

/* Checks and publishes a signal. On MR_OK it is in the ring: it survives this process, and the
 * engine's answer will come as a result. Any error: nothing was published.
 * Order: everything written before is visible to the engine when it sees the signal. */
int mr_submit(mr_client* client, const mr_signal* signal);

/* Calls `handle(result, user)` for each waiting result, at most `max` of them. The result is a
 * copy, valid during the call. Its slot is given back when `handle` returns. `handle` may submit;
 * it must not poll, close or throw. A strategy that does not poll stops only itself: when its
 * results ring is full the engine takes no more of its signals. Returns how many were handled (>=
 * 0), or an error (< 0). */
typedef void (*mr_result_handler)(const mr_result* result, void* user);
int mr_poll_results(mr_client* client, mr_result_handler handle, void* user, int max);

/* Sleeps until a result waits or `timeout_ms` (0..60000, else cut to it) has passed.
 * Returns 1 if a result waits, 0 if not, or an error (< 0). */
int mr_wait(mr_client* client, int timeout_ms);

/* The symbol's latest quote. MR_NO_PRICE: none yet, or being written just now. */
int mr_tick(mr_client* client, uint32_t symbol, mr_quote* quote);

/* Now on Millrace's clock, which wall-clock jumps do not change. 0 if client is NULL. */
int64_t mr_now(const mr_client* client);

/* MR_OK if the segment is still the one at its path and of this boot; MR_GONE if not. One stat().
 */
int mr_check(mr_client* client);

/* The last error of this thread, in a sentence; never NULL, valid until the next call. */
const char* mr_error_text(void);
/* Name of a result's reason, e.g. "PRICE_COLLAR"; "?" for an unknown one. */
const char* mr_reason_text(uint16_t reason);
/* What can be done about it, in a sentence, e.g. "wait for ticks of the symbol, or check its feed".
 * "" for 0 and for an unknown one. Never NULL, valid for ever, any thread. */
const char* mr_reason_mend(uint16_t reason);

/* NOLINTEND(readability-identifier-naming) */
#ifdef __cplusplus
}
#endif
#endif
