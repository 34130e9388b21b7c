// Session: the broker stage's side of one account: a bounded command queue and the wire.
#pragma once

#include "tests/sim/terminal.h"

#include <deque>

namespace millrace::sim {

/// Rules of the queue as in gateway/session_queue.h: what was claimed may be at the executor; its
/// journal decides at the next Hello.
class Session {
public:
    Session(AccountId account, std::size_t slots) noexcept : account_{account}, slots_{slots} {}

    /// @return false if the queue is full: the caller answers QueueFull.
    bool enqueue(const OrderCommand& c) {
        if (queue_.size() >= slots_) {
            return false;
        }
        queue_.push_back({++numbers_, c, false});
        return true;
    }
    /// Sends what may leave; answers what may not any more. @return work done.
    template <class Answer>
    bool send_ready(Nanos now, std::uint64_t durable, const Answer& answer) {
        bool worked = false;
        for (auto it = queue_.begin(); it != queue_.end();) {
            const OrderCommand& c = it->command;
            if (it->claimed) {
                ++it;
            } else if (c.deadline.value > 0 && now >= c.deadline) {
                answer(c, Reason::Expired);
                it = queue_.erase(it);
                worked = true;
            } else if (!up_ || c.seq.value > durable) {
                break;
            } else {
                it->claimed = true;
                down_.push_back({it->number, c});
                ++it;
                worked = true;
            }
        }
        return worked;
    }

    /// Hello of the terminal: its journal decides about everything claimed.
    void connect(Terminal& terminal) {
        up_ = true;
        down_.clear();
        up_wire_.clear();
        ++generation_;
        const bool same = terminal.journal_id() == journal_id_;
        std::erase_if(queue_, [&](Item& item) {
            const bool gone = item.claimed && (!same || item.number <= terminal.command_seq());
            item.claimed = false;  // proven not received: sent again
            return gone;
        });
        journal_id_ = terminal.journal_id();
        sent_event_ = 0;
        sync_sent_ = false;
    }
    void cut() {
        up_ = false;
        down_.clear();
        up_wire_.clear();
    }
    /// Moves frames both ways. @return work done.
    template <class Publish>
    bool exchange(Terminal& terminal, Nanos now, Rng& rng, const Publish& publish) {
        if (!up_) {
            return false;
        }
        bool worked = false;
        for (std::uint64_t n = 1 + rng.below(4); n > 0 && !down_.empty(); --n) {
            const Frame f = down_.front();
            down_.pop_front();
            terminal.on_command(f.number, f.command, now);
            if (rng.chance(700)) {  // RX_ACK comes; else a later one, or Hello, speaks for it
                std::erase_if(queue_,
                              [&f](const Item& i) { return i.claimed && i.number <= f.number; });
            }
            worked = true;
        }
        for (const Report& r : terminal.events()) {
            if (r.event_seq > sent_event_) {
                sent_event_ = r.event_seq;
                up_wire_.push_back(r);
            }
        }
        if (down_.empty()) {
            std::erase_if(queue_, [&terminal](const Item& i) {
                return i.claimed && i.number <= terminal.command_seq();
            });
        }
        if (!sync_sent_) {
            sync_sent_ = true;
            Report done;
            done.account = account_;
            done.type = ReportType::SyncDone;
            done.session_generation = generation_;
            up_wire_.push_back(done);
        }
        for (std::uint64_t n = 1 + rng.below(4); n > 0 && !up_wire_.empty(); --n) {
            if (!publish(up_wire_.front())) {
                break;
            }
            up_wire_.pop_front();
            worked = true;
        }
        return worked;
    }

    /// The segment is gone, and the queue with it.
    void lose_segment() {
        cut();
        queue_.clear();
        numbers_ = 0;
    }

    [[nodiscard]] bool up() const { return up_; }
    [[nodiscard]] std::uint64_t generation() const { return generation_; }
    [[nodiscard]] std::uint64_t journal_id() const { return journal_id_; }
    [[nodiscard]] bool idle() const { return queue_.empty() && down_.empty() && up_wire_.empty(); }

private:
    struct Item {
        std::uint64_t number = 0;
        OrderCommand command;
        bool claimed = false;
    };
    struct Frame {
        std::uint64_t number = 0;
        OrderCommand command;
    };

    AccountId account_;
    std::size_t slots_;
    std::deque<Item> queue_;
    std::deque<Frame> down_;
    std::deque<Report> up_wire_;
    std::uint64_t numbers_ = 0;
    std::uint64_t generation_ = 0;
    std::uint64_t journal_id_ = 0;
    std::uint64_t sent_event_ = 0;
    bool up_ = false;
    bool sync_sent_ = false;
};

}  // namespace millrace::sim
