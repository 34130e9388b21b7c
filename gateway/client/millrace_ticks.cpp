#include "gateway/client/millrace_ticks.h"

#include "shm/tick_table.h"

#include <new>
#include <utility>

struct mr_ticks {
    millrace::TickTableReader table;
};

int mr_ticks_open(const char* path, mr_ticks** ticks) {
    if (path == nullptr || ticks == nullptr) {
        return MR_BAD_CALL;
    }
    auto map = millrace::TickTableMap::attach(path);
    if (!map) {
        const millrace::Errc why = map.code();
        return why == millrace::Errc::NotFound  ? MR_UNKNOWN
               : why == millrace::Errc::IoError ? MR_SYSTEM
                                                : MR_BAD_SEGMENT;
    }
    *ticks = new (std::nothrow) mr_ticks{millrace::TickTableReader{std::move(map).value()}};
    return *ticks == nullptr ? MR_SYSTEM : MR_OK;
}

void mr_ticks_close(mr_ticks* ticks) {
    delete ticks;
}

int mr_ticks_find(const mr_ticks* ticks, const char* symbol, uint32_t* row) {
    if (ticks == nullptr || symbol == nullptr || row == nullptr) {
        return MR_BAD_CALL;
    }
    const auto found = ticks->table.find(symbol);
    if (!found) {
        return MR_UNKNOWN;
    }
    *row = *found;
    return MR_OK;
}

int mr_ticks_latest(const mr_ticks* ticks, uint32_t row, mr_quote* quote) {
    if (ticks == nullptr || quote == nullptr || row >= ticks->table.rows()) {
        return MR_BAD_CALL;
    }
    const millrace::Quote q = ticks->table.latest(row);
    if (q.bid.value == 0) {
        return MR_NO_PRICE;
    }
    *quote = {q.bid.value, q.ask.value, q.time.value};
    return MR_OK;
}

int64_t mr_ticks_alive(const mr_ticks* ticks) {
    return ticks == nullptr ? 0 : ticks->table.alive().value;
}
