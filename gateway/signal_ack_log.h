// The source's own record of what it asked for and what it was told: the witness that a test or an
// audit holds against the broker's books. One line an event, one write(2) a line, appended:
//
//     <id> submitted <send_ns> 0 <target> <group> <symbol> <action> <side> <price_kind>
//          <volume> <price> <stop_loss> <take_profit> <reference_price> <ttl_ms> <flags>
//     <id> accepted|duplicate|refused <send_ns> <ack_ns> <reason>
//
// Ids are 32 hex digits, times ns since 1970 (UTC), prices and volumes in 1e-8.
#pragma once

#include "core/order_status.h"
#include "core/result.h"
#include "core/signal.h"

#include <string>
#include <vector>

namespace millrace {

/// A signal as a source knows it: names, not ids.
struct SignalRequest {
    SignalId id;
    SignalId target;     // Close, Modify, Cancel
    std::string group;   // 1..16 bytes, no white space
    std::string symbol;  // canonical name, 1..16 bytes, no white space
    SignalAction action = SignalAction::Open;
    Side side = Side::Buy;
    PriceKind price_kind = PriceKind::Market;
    std::uint8_t flags = 0;  // kHoldUntilOpen
    Lots volume;
    Price price;
    Price stop_loss;
    Price take_profit;
    Price reference_price;
    std::uint32_t ttl_ms = 0;  // 0 = kDefaultTtlMs
    Nanos send_time;           // 0 = stamped by submit()
};

enum class AckLogKind : std::uint8_t { Submitted, Accepted, Duplicate, Refused };
[[nodiscard]] std::string_view to_string(AckLogKind kind) noexcept;

/// One line. `request` is filled in for Submitted only (else just its id and send_time).
struct AckLogEntry {
    AckLogKind kind = AckLogKind::Submitted;
    SignalRequest request;
    Nanos ack_time;                // 0 for Submitted
    Reason reason = Reason::None;  // of a refusal
};

/// Appends to the log. A line that write(2) took survives the death of this process, not a power
/// cut.
/// Threads: one. Crash: at most the last line is torn; the reader says so and drops it.
class AckLogWriter {
public:
    AckLogWriter() = default;
    ~AckLogWriter();
    AckLogWriter(AckLogWriter&& other) noexcept;
    AckLogWriter& operator=(AckLogWriter&& other) noexcept;

    /// Opens or makes `path` (mode 0600) for appending. @return IoError with errno; `message`
    /// names the path.
    static Result<AckLogWriter> open(const std::string& path, std::string& message);

    /// @return IoError with errno if the line is not whole in the file (disk full, ...). What is
    /// there of it is sealed before the next line, as open() does after a death: readers leave it
    /// out.
    [[nodiscard]] Status append(const AckLogEntry& entry) noexcept;
    [[nodiscard]] bool is_open() const noexcept { return fd_ >= 0; }

private:
    int fd_ = -1;
    bool torn_ = false;  // the last line lacks its end
};

/// What a log holds.
struct AckLog {
    std::vector<AckLogEntry> entries;
    bool torn_tail = false;  // an unfinished last line was dropped

    /// Requests that were submitted and not answered since, in the order of their submission: one
    /// that was refused and is submitted again waits for an answer anew.
    [[nodiscard]] std::vector<SignalRequest> unanswered() const;
};

/// Reads a whole log. @return NotFound, IoError; BadInput for a malformed line before the last
/// one: `message` names file, line and what is wrong.
[[nodiscard]] Result<AckLog> read_ack_log(const std::string& path, std::string& message);

/// 32 lower-case hex digits, and back (BadInput for anything else; dashes are skipped).
[[nodiscard]] std::string to_hex(const SignalId& id);
[[nodiscard]] Result<SignalId> parse_signal_id(std::string_view text) noexcept;

}  // namespace millrace
