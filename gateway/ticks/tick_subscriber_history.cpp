// TickSubscriber, the part that asks for recorded ticks: page by page, each from the time of the
// last tick on, past those of that very time that were told already.
#include "gateway/ticks/tick_subscriber.h"

#include <algorithm>
#include <cstring>

namespace millrace {

using tick_wire::FrameType;

bool TickSubscriber::ask_history(const HistoryRange& range) {
    const bool is_none = range.symbol.empty() || range.symbol.size() > 16 ||
                         range.from > range.to || range.limit == 0;
    if (link_ != Link::Up || history_ || is_none) {
        return false;
    }
    history_ = History{};
    history_->range = range;
    history_->left = range.limit;
    ask_for_page();
    return true;
}

/// Unless it is on its way.
void TickSubscriber::ask_for_page() {
    if (!history_ || history_->asked) {
        return;
    }
    History& h = *history_;
    tick_wire::HistoryAsk ask{};
    std::copy_n(h.range.symbol.begin(), std::min<std::size_t>(h.range.symbol.size(), 16), ask.name);
    ask.feed = h.range.feed;
    ask.from_ns = h.range.from.value;
    ask.to_ns = h.range.to.value;
    const std::uint32_t page = std::clamp(options_.history_page, 1U, tick_wire::kHistoryMax);
    ask.limit = static_cast<std::uint32_t>(std::min<std::uint64_t>(h.left, page));
    ask.skip = h.at_last;
    if (tick_wire::queue(socket_, FrameType::HistoryAsk, ask, requests_ + 1)) {
        h.request = ++requests_;
        h.page = ask.limit;
        h.asked = true;
    }
}

/// @return false: the server sends what was not asked for.
bool TickSubscriber::on_recorded(const wire::Frame& frame) {
    const std::size_t n = tick_wire::entries_of(frame);
    if (!history_ || frame.header.seq != history_->request || n == 0 || n > history_->page) {
        return false;
    }
    for (std::size_t i = 0; i < n; ++i) {
        History& h = *history_;
        const tick_wire::TickEntry tick = tick_wire::entry_at(frame, i);
        if (tick.time_ns < h.range.from.value || tick.time_ns > h.range.to.value) {
            return false;
        }
        h.at_last = tick.time_ns == h.range.from.value ? h.at_last + 1 : 1;
        h.range.from = Nanos{tick.time_ns};
        --h.page;
        --h.left;
        ++stats_.recorded;
        if (callbacks_.on_recorded) {
            callbacks_.on_recorded(tick);
        }
    }
    return true;
}

bool TickSubscriber::on_recorded_end(const wire::Frame& frame) {
    const auto end = frame.as<tick_wire::RecordedEnd>();
    if (!end || !history_ || !history_->asked || end.value().request != history_->request) {
        return false;
    }
    const std::uint32_t flags = end.value().flags;
    History& h = *history_;
    h.torn = h.torn || (flags & tick_wire::kHistoryTorn) != 0;
    if ((flags & tick_wire::kHistoryRefused) != 0) {
        end_history(HistoryEnd::Refused);
    } else if ((flags & tick_wire::kHistoryMore) == 0 || h.left == 0) {
        end_history(h.torn ? HistoryEnd::Torn : HistoryEnd::Whole);
    } else if (h.page != 0 || h.at_last > tick_wire::kHistoryMax) {
        return false;  // more, and not what was asked for of it
    } else {
        h.asked = false;
        ask_for_page();
    }
    return true;
}

void TickSubscriber::end_history(HistoryEnd how) {
    if (!history_) {
        return;
    }
    history_.reset();  // the callback may ask for more
    if (callbacks_.on_recorded_end) {
        callbacks_.on_recorded_end(how);
    }
}

}  // namespace millrace
