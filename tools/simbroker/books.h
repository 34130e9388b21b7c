// The broker's own books: everything its trade server did, one record each, in one append-only
// file. Written before any answer leaves; reloaded at start; read by the verifier. Our engine
// never sees this file, so it is evidence against our own records.
#pragma once

#include "core/order_command.h"
#include "tools/simbroker/append_file.h"

#include <cstddef>
#include <functional>

namespace millrace::sim {

enum class BookKind : std::uint8_t {
    Account = 1,           // opened: balance; price_kind = MarginMode
    Order = 2,             // accepted: market order (its deals follow) or working pending
    Deal = 3,              // executed
    OrderModified = 4,     // pending's price, SL, TP; `retcode` 10025: they were so before
    OrderCanceled = 5,     // pending removed, or the rest of a partly filled market order
    PositionModified = 6,  // SL, TP; `retcode` as there
    Refused = 7,           // a request that changed nothing; `retcode` says why
    Repeated = 8,          // a command came to a terminal that has it in its journal: sent twice
};
enum class Entry : std::uint8_t { In = 0, Out = 1, InOut = 2 };

/// One record. What it describes is complete: the state after it follows from it and the records
/// before it alone.
///
///     0     4     6  7   8        16     24      32      40 .. 144 numbers      144     160
///     | crc | ver| k| rsn| number | time | login | magic | ...               | symbol | comment |
struct BookRecord {
    std::uint32_t crc32c = 0;  // over the bytes after this field
    std::uint16_t version = 1;
    BookKind kind{};
    ExecKind reason{};         // None: by a request of the account's own terminal
    std::uint64_t number = 0;  // 1, 2, 3 ... without gaps
    std::int64_t time_ns = 0;  // wall clock
    std::uint64_t login = 0;
    std::uint64_t magic = 0;            // as in the request; server-made deals: the position's
    std::uint64_t order = 0;            // ticket
    std::uint64_t deal = 0;             // ticket
    std::uint64_t position = 0;         // identifier: never changes in the position's life
    std::uint64_t position_ticket = 0;  // Repeated: the number under which it came again
    std::int64_t volume = 0;            // Deal: executed; Order: asked for; 1e-8 lots
    std::int64_t price = 0;             // Deal: executed at; pendings: trigger price
    std::int64_t stop_loss = 0;         // Deal: of the position after it
    std::int64_t take_profit = 0;
    std::int64_t position_volume = 0;  // Deal: signed volume of the position after it
    std::int64_t open_price = 0;       // Deal: volume-weighted entry of the position after it
    std::int64_t profit = 0;           // Deal: realised, deposit currency
    std::int64_t balance = 0;          // of the account after it
    std::uint32_t retcode = 0;         // Refused, OrderCanceled, OrderModified, PositionModified
    Side side{};                       // of the order or deal
    PriceKind price_kind{};
    Entry entry{};
    CommandType command{};  // Order, Refused: what was asked
    Text<16> symbol;
    Text<16> comment;
};
static_assert(std::is_trivially_copyable_v<BookRecord> && sizeof(BookRecord) == 176);
static_assert(offsetof(BookRecord, login) == 24 && offsetof(BookRecord, symbol) == 144);

/// Stamps the checksum.
void seal(BookRecord& record) noexcept;
[[nodiscard]] bool is_intact(const BookRecord& record) noexcept;

/// Reads records in order. Threads: one.
/// @param bytes a whole books file.
/// @return bytes of the intact prefix (a torn last record is left out);
///         Errc::BadChecksum or Errc::BadChain if a record before the last is damaged or missing.
[[nodiscard]] Result<std::uint64_t> scan_books(std::span<const std::byte> bytes,
                                               const std::function<void(const BookRecord&)>& visit);

/// The writing end. Threads: one.
class Books {
public:
    /// Opens or creates `path`, visits what is in it and cuts a torn tail.
    /// @return errors of AppendFile::open() and scan_books().
    [[nodiscard]] static Result<Books> open(const std::string& path,
                                            const std::function<void(const BookRecord&)>& visit);

    /// Numbers, seals and appends records with one write(2): after a kill all of them are there or
    /// none. @param records changed in place: number, crc.
    [[nodiscard]] Status append(std::span<BookRecord> records) noexcept;

    [[nodiscard]] std::uint64_t last_number() const noexcept { return last_number_; }

private:
    AppendFile file_;
    std::uint64_t last_number_ = 0;
};

}  // namespace millrace::sim
