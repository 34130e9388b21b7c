// Session, the part that takes over a queue from the segment and judges it. What a wild write
// damages there is one account's: that account stops, with the damage named, and the others trade
// on.
#include "gateway/session.h"

#include <cinttypes>
#include <cstdio>
#include <string>

namespace millrace {

void Session::attach() {
    // Relaxed, here and below: the broker stage is the one writer of these cells, and is us now.
    generation_ = entry().generation.load(std::memory_order_relaxed);
    const auto left = static_cast<LinkState>(entry().link.load(std::memory_order_relaxed));
    // The engine believes what the last stage said of the link; its sockets died with it. The
    // cell stays as it is until the engine is told.
    down_due_ = left != LinkState::Down && left != LinkState::AuthRejected;
    entry().busy.store(0, std::memory_order_relaxed);
    std::string damage;
    if (!context_->segment.check_ring(entry().queue_ring, damage)) {
        stop(damage.c_str());
        return;
    }
    auto queue =
        SessionQueue::attach(context_->segment.ring<SessionSlot>(entry().queue_ring), account_);
    if (!queue) {
        stop(queue.error().what);
        return;
    }
    queue_ = queue.value();
    recount();
    release_over();
}

/// Commands that wait in the queue stay in doubt at the engine until a terminal is asked about
/// them in a new segment; of what comes later, `orders` is the one place, and it is answered.
void Session::stop(const char* why) noexcept {
    stopped_ = true;
    queue_.mend_capacity();  // or no stage could be started again, of whichever account
    queue_ = SessionQueue{};
    recount();
    sweep_to_ = 0;
    unwritten_ = 0;
    char text[160];
    // Relaxed: a name for people.
    std::snprintf(text, sizeof text,
                  "ALERT account %" PRIu32 " (login %" PRIu64 ") is stopped until a clean stop: %s",
                  account_.value, entry().login.load(std::memory_order_relaxed), why);
    context_->segment.report_error("broker", text);
}

/// @return true if the account is stopped now.
bool Session::stop_if(const char* defect) noexcept {
    if (defect != nullptr) {
        stop(defect);
    }
    return defect != nullptr;
}

bool Session::check_front() noexcept {
    return !stopped_ && stop_if(queue_.front_defect());
}

void Session::check_queue() noexcept {
    if (!stopped_) {
        static_cast<void>(stop_if(queue_.defect_anywhere()));
    }
}

/// What speaks against sending or answering the command at `next_`: all before it are Claimed or
/// over, none behind it is Claimed.
const char* Session::defect_of_next() const noexcept {
    if (const char* defect = queue_.defect_of(next_); defect != nullptr) {
        return defect;
    }
    return queue_.state(next_) == SlotState::Claimed
               ? "queue: a command that waits is marked as sent"
               : nullptr;
}

bool Session::has_taken(OutputId id) noexcept {
    if (id > queue_.newest()) {
        return false;  // always, if the account is stopped: its queue is forgotten
    }
    // `orders` is drained in order and slot by slot: never an older one.
    return id == queue_.newest() || !stop_if("queue: holds later commands than are to come");
}

}  // namespace millrace
