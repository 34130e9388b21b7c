/* Goal: the client header is plain C11 and usable from C. Compiled as C11, called by the test. */
#include "gateway/client/millrace_client.h"

static void count(const mr_result* result, void* user) {
    if (result->kind == MR_ACCEPTED) {
        ++*(int*)user;
    }
}

int c11_submit_one(mr_client* client, uint64_t id_lo);
int c11_submit_one(mr_client* client, uint64_t id_lo) {
    mr_signal s = {0};
    int code = mr_lookup_group(client, "main", &s.group);
    if (code == MR_OK) {
        code = mr_lookup_symbol(client, "EURUSD", &s.symbol);
    }
    if (code != MR_OK) {
        return code;
    }
    s.id.hi = 0xC11;
    s.id.lo = id_lo;
    s.action = MR_OPEN;
    s.side = MR_SELL;
    s.volume = MR_SCALE / 10;
    return mr_submit(client, &s);
}

int c11_count_accepted(mr_client* client);
int c11_count_accepted(mr_client* client) {
    int accepted = 0;
    const int code = mr_poll_results(client, count, &accepted, 100);
    return code < 0 ? code : accepted;
}
