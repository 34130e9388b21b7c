// Recorded ticks to consumers on other hosts: the seam between a TickPublisher, which must not wait
// for a disk, and whoever reads the record (tools/ticks/history_reader.h).
#pragma once

#include "gateway/ticks/tick_frames.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace millrace {

/// What a consumer asks for, with who it was.
struct HistoryQuestion {
    std::uint64_t ticket = 0;  // given back with the answer
    tick_wire::HistoryAsk ask{};
};
struct HistoryAnswer {
    std::uint64_t ticket = 0;
    std::vector<tick_wire::TickEntry> ticks;  // oldest first
    std::uint32_t flags = 0;                  // of RecordedEnd
};

class TickHistory {
public:
    virtual ~TickHistory() = default;
    /// @return false: as many wait as it takes. Never blocks.
    [[nodiscard]] virtual bool ask(const HistoryQuestion& question) noexcept = 0;
    /// An answer that is ready; null: none is. Never blocks.
    [[nodiscard]] virtual std::unique_ptr<HistoryAnswer> take() noexcept = 0;
};

/// One consumer's question and what of the answer has left. Threads: the publisher's.
class HistoryOut {
public:
    void forget() noexcept { *this = HistoryOut{}; }
    [[nodiscard]] bool is_busy() const noexcept { return ticket_ != 0; }
    /// The answer that belongs to `ticket` will be to `request`.
    void expect(std::uint64_t ticket, std::uint64_t request) noexcept {
        ticket_ = ticket;
        request_ = request;
    }
    [[nodiscard]] bool expects(std::uint64_t ticket) const noexcept { return ticket_ == ticket; }
    void take(std::unique_ptr<HistoryAnswer> answer) noexcept { answer_ = std::move(answer); }
    /// Queues what there is room for beside `reserve` bytes, which live packets have.
    void send(net::Connection& socket, std::size_t reserve) noexcept;

private:
    std::uint64_t ticket_ = 0;  // 0 = nothing was asked
    std::uint64_t request_ = 0;
    std::unique_ptr<HistoryAnswer> answer_;
    std::size_t sent_ = 0;
};

/// @return what is wrong with a question; null: nothing.
[[nodiscard]] const char* mistake_in(const tick_wire::HistoryAsk& ask) noexcept;

}  // namespace millrace
