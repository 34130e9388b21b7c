// The FIX order book on disk, and the net position that our orders at the venue made: one record a
// change, the newest of an order counts. A record is written after the events that it stands for
// are in the intent journal: a death between them tells the engine the same deal twice, under one
// deal number, never not at all.
#pragma once

#include "gateway/fix/order_book.h"
#include "tools/simbroker/append_file.h"

#include <map>
#include <string>

namespace millrace::fix {

/// Threads: one. A failed write is final.
class OrderFile {
public:
    /// Opens or creates, reads, cuts a torn tail, and rewrites the file if most of it is past.
    /// @return errors of AppendFile::open(); BadChecksum if a record inside is damaged.
    [[nodiscard]] static Result<OrderFile> open(const std::string& path);

    /// Puts everything into an empty book, oldest first. What its instruments do not know any more
    /// is left out and counted.
    [[nodiscard]] std::size_t restore(OrderBook& book) const;

    /// Appends the state of an order; what `booked` rose by moves the position.
    [[nodiscard]] Status save(const OrderState& state);
    [[nodiscard]] Status sync() noexcept { return file_.sync(); }

    /// Venue's units by the account's symbol, 1e-8, bought less sold.
    [[nodiscard]] const std::map<std::string, std::int64_t>& positions() const { return net_; }

    /// Of the engine's orders that it remembers; 0 = none.
    [[nodiscard]] std::uint64_t highest_intent() const noexcept;

private:
    struct Record;
    void apply(const Record& record);
    [[nodiscard]] Status load(std::span<const std::byte> bytes);
    [[nodiscard]] Status compact();

    std::string path_;
    sim::AppendFile file_;
    std::uint64_t order_count_ = 0;
    std::map<std::uint64_t, OrderState> states_;     // by age
    std::map<std::uint64_t, std::uint64_t> age_of_;  // by magic
    std::map<std::string, std::int64_t> net_;
};

}  // namespace millrace::fix
