// ReportSink: the broker stage's end of the `reports` ring.
//
// Publishing an answer is its commit point. The step that follows it (a slot marked Answered, an
// `orders` slot released) may be lost with the process; last_answer() tells a new stage that the
// answer was given, so that a command which was reported Unsent can never be sent after all.
#pragma once

#include "core/crash_point.h"
#include "core/order_status.h"
#include "gateway/session_queue.h"

#include <utility>

namespace millrace {

/// Threads: the broker stage.
class ReportSink {
public:
    ReportSink() = default;
    [[nodiscard]] static Result<ReportSink> attach(const Segment& segment) noexcept {
        auto producer = RingProducer<ReportSlot>::attach(segment.ring<ReportSlot>("reports"));
        if (!producer) {
            return producer.error();
        }
        ReportSink sink;
        sink.view_ = segment.ring<ReportSlot>("reports");
        sink.producer_ = producer.value();
        return sink;
    }

    /// True if `slots` reports can be published now.
    [[nodiscard]] bool has_room(std::uint64_t slots) noexcept {
        if (room_ < slots) {
            room_ = producer_.free_slots();
        }
        return room_ >= slots;
    }

    /// Publishes. The caller has asked has_room(). @return the report's number in the ring.
    std::uint64_t publish(const Report& report) noexcept {
        MILLRACE_CRASH_POINT("broker.before_report");
        ReportSlot slot{report};
        const auto number = producer_.try_publish(slot);
        ASSERT(number.ok());
        --room_;
        ++published_;
        MILLRACE_CRASH_POINT("broker.after_report");
        return number.value();
    }

    /// True if the engine has journalled and applied report `number`: it releases a report after
    /// that (DESIGN rule 2 e).
    [[nodiscard]] bool is_applied(std::uint64_t number) const noexcept {
        // Acquire: pairs with RingConsumer::release() of the engine: what it stored before
        // (`completed`) is visible.
        return view_.control->read_cursor.load(std::memory_order_acquire) >= number;
    }

    /// Answers a command that never left this host: a look-up or a finding, which carry the magic
    /// of the order they are about, with QueryUnknown, because Unsent would speak of that order.
    /// The report carries the command's (seq, k) in journal_id and journal_tail, which neither type
    /// uses otherwise.
    void unsent(const OrderCommand& command, Reason reason, Nanos now) noexcept {
        Report r;
        r.time = now;
        r.account = command.account;
        const bool look_up =
            command.type == CommandType::Query || command.type == CommandType::Resolve;
        r.type = look_up ? ReportType::QueryUnknown : ReportType::Unsent;
        r.ord_status = look_up ? static_cast<std::uint8_t>(OrdStatus::InDoubt) : std::uint8_t{0};
        r.reason = static_cast<std::uint16_t>(reason);
        r.magic = command.magic;
        r.side = command.side;
        r.requested = command.volume;
        r.journal_id = command.seq.value;
        r.journal_tail = command.k;
        publish(r);
    }

    /// The command answered by the newest report; {0, 0} if that is no answer of this stage.
    [[nodiscard]] OutputId last_answer() const noexcept {
        const ReportSlot* newest = producer_.last();
        if (newest == nullptr) {
            return {};
        }
        const Report& r = newest->value;
        // Executors number their events; what has no number and answers a command is from here.
        const bool answers = r.type == ReportType::Unsent || r.type == ReportType::QueryUnknown;
        const bool ours = answers && r.event_seq == 0;
        return ours ? OutputId{r.journal_id, static_cast<std::uint32_t>(r.journal_tail)}
                    : OutputId{};
    }

    /// Reports published since the last call: the engine's doorbell is due if not 0.
    [[nodiscard]] std::uint64_t take_published(Nanos now) noexcept {
        if (published_ != 0) {
            producer_.publish_stats(now.value);
        }
        return std::exchange(published_, 0);
    }

private:
    RingView<ReportSlot> view_{};
    RingProducer<ReportSlot> producer_{};
    std::uint64_t room_ = 0;
    std::uint64_t published_ = 0;
};

}  // namespace millrace
