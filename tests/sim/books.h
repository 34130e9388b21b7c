// Books: the broker's truth about one account, in memory. Executes whatever it is asked, repeats
// included: a double must be visible here.
#pragma once

#include "core/engine.h"

#include <map>
#include <stdexcept>
#include <string>

namespace millrace::sim {

/// An invariant is violated; what() names it and what contradicts it.
class Violation : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};
[[noreturn]] inline void violated(const std::string& invariant, const std::string& detail) {
    throw Violation{invariant + ": " + detail};
}
inline void require(bool holds, const char* invariant, const std::string& detail) {
    if (!holds) {
        violated(invariant, detail);
    }
}

struct BookPosition {
    std::uint64_t id = 0;
    std::uint32_t symbol = 0;
    std::int64_t volume = 0;  // signed
    Magic magic;              // of the order that opened it
};
struct BookPending {
    std::uint64_t ticket = 0;
    Magic magic;
    std::uint32_t symbol = 0;
    Side side{};
    Lots left;
};
/// What became of one magic.
struct BookOrder {
    CommandType type{};
    OrdStatus status = OrdStatus::New;
    std::uint64_t order = 0;
    std::uint64_t deal = 0;
    std::uint64_t position = 0;
    Lots executed;
    Lots requested;
};

class Books {
public:
    Books(AccountId account, MarginMode mode) noexcept : account_{account}, mode_{mode} {}

    /// Executes a command as the trade server does. @param share_percent of a market order.
    /// @return the answer: retcode, tickets, volume.
    Report execute(const OrderCommand& c, std::uint32_t share_percent);
    /// Fills `part` of a pending. @return the event.
    Report fill_pending(std::uint64_t ticket, Lots part);
    Report cancel_pending(std::uint64_t ticket);
    /// SL, TP, a human, the kill switch: `part` of a position is closed. @return the event.
    Report close_position(std::uint64_t id, Lots part, ExecKind why);

    [[nodiscard]] const BookOrder* find(Magic magic) const {
        const auto it = orders_.find(magic.value);
        return it == orders_.end() ? nullptr : &it->second;
    }
    [[nodiscard]] const std::map<std::uint64_t, BookPosition>& positions() const {
        return positions_;
    }
    [[nodiscard]] const std::map<std::uint64_t, BookPending>& pendings() const { return pendings_; }
    [[nodiscard]] std::uint64_t executions() const { return executions_; }

private:
    Report open_market(const OrderCommand& c, std::uint32_t share_percent);
    Report open_pending(const OrderCommand& c);
    Report close(const OrderCommand& c, std::uint32_t share_percent);
    Report modify(const OrderCommand& c);
    Report cancel(const OrderCommand& c);
    std::uint64_t book_deal(std::uint32_t symbol, Side side, Lots volume, Magic magic,
                            std::uint64_t order);
    void note_execution(const OrderCommand& c);
    [[nodiscard]] Report answer(const OrderCommand& c, std::uint32_t code) const;
    BookPosition* position_of(std::uint64_t id);

    AccountId account_;
    MarginMode mode_;
    std::map<std::uint64_t, BookPosition> positions_;
    std::map<std::uint64_t, BookPending> pendings_;
    std::map<std::uint64_t, BookOrder> orders_;           // by magic
    std::map<std::uint64_t, std::uint64_t> executed_by_;  // intent -> executions
    std::uint64_t next_ticket_ = 1000;
    std::uint64_t next_deal_ = 1;
    std::uint64_t executions_ = 0;
};

/// The symbol's number from its name at the broker ("S0", "S1").
[[nodiscard]] inline std::uint32_t symbol_of(const Text<16>& name) noexcept {
    return static_cast<std::uint32_t>(name.bytes[1] - '0');
}

}  // namespace millrace::sim
