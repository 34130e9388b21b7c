#include "gateway/ticks/tick_history.h"

#include <algorithm>
#include <span>

namespace millrace {

using tick_wire::FrameType;

void HistoryOut::send(net::Connection& socket, std::size_t reserve) noexcept {
    while (answer_ != nullptr && socket.free_bytes() >= reserve) {
        const auto rest = std::span{answer_->ticks}.subspan(sent_);
        if (rest.empty()) {
            const tick_wire::RecordedEnd end{request_, answer_->flags, 0};
            if (tick_wire::queue(socket, FrameType::RecordedEnd, end)) {
                forget();
            }
            return;
        }
        const auto some = rest.first(std::min(rest.size(), tick_wire::kEntriesMax));
        if (!tick_wire::queue_entries(socket, FrameType::Recorded, some, request_)) {
            return;
        }
        sent_ += some.size();
    }
}

const char* mistake_in(const tick_wire::HistoryAsk& ask) noexcept {
    if (ask.limit == 0 || ask.limit > tick_wire::kHistoryMax || ask.skip > tick_wire::kHistoryMax) {
        return "HISTORY_ASK: limit is 1 to 100000, skip 100000 at most";
    }
    if (ask.name[0] == '\0') {
        return "HISTORY_ASK: no symbol is named";
    }
    return ask.from_ns > ask.to_ns ? "HISTORY_ASK: from is after to" : nullptr;
}

}  // namespace millrace
