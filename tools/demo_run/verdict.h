// Verdict: were signals lost or doubled, judged from the broker's books and the source's own log,
// never from the pipeline's state.
//
//   lost       the source was told that an account's order is filled and the books have no such
//              execution; or a signal was acknowledged and its end never told; or the books have an
//              execution whose order was reported as not executed; the same of a Modify or Cancel
//              and its change, prices included; or an order was told to be over and still works;
//              or an opening that was accepted had not one order for each account of its group
//   doubled    one intent executed by more than one order of the broker; or one opening signal
//              opened, or its pending order placed, or one close closed by two intents, more than
//              once on one account; or a command
//              sent twice under one magic, which a terminal's journal kept from being executed
//              again
//   unfilled   a valid signal that no outage touched and that was not carried out, on each account
//              of its group; or, a close or modify, not on each on which what its opening had
//              opened stood open before and after it
//   expired    an order or signal that ran out of time although its life overlapped no outage
//   unknown    an execution with our tag whose signal the source never sent, or was told is refused
//   refusal    a signal that was sent wrong on purpose and was not refused
#pragma once

#include "tools/demo_run/evidence.h"
#include "tools/demo_run/lives.h"
#include "tools/demo_run/outages.h"

#include <map>
#include <string>
#include <vector>

namespace millrace::demo {

enum class Wrong : std::uint8_t { Lost, Doubled, Unfilled, Expired, Unknown, Refusal };
[[nodiscard]] const char* to_string(Wrong wrong) noexcept;

/// One thing that must not be, for people: which signal, which account, why.
struct Problem {
    Wrong wrong{};
    SignalId signal;
    std::string text;
};

struct Case {
    const Lives& lives;
    const std::vector<AckLogEntry>& ack_log;  // the source's own record
    const Evidence& books;
    const Outages& outages;
    std::map<std::uint32_t, std::uint64_t> logins;  // account id -> login
    /// Recorded markets: a refusal by price, size or the broker is the market's, not ours.
    bool market_may_refuse = false;
    /// Group -> number of its accounts, the same all the time. Openings for a group that is not
    /// named are not counted.
    std::map<std::string, std::size_t> groups{};
    /// The log was lost: what it alone knew may have been forgotten.
    bool log_was_lost = false;
    /// The broker's wall clock and the segment's, which were one when the segment was made. Of what
    /// happened closer together nothing is claimed.
    Nanos clocks_apart = millis(100);
};

struct Verdict {
    std::vector<Problem> problems;
    std::uint64_t untouched = 0;       // valid signals whose life overlapped no outage
    std::uint64_t checked_orders = 0;  // orders held against the books
    std::map<std::string, std::uint64_t> order_ends;  // "Filled", "Rejected: PriceCollar" ...

    [[nodiscard]] std::uint64_t count(Wrong wrong) const noexcept;
    [[nodiscard]] bool good() const noexcept { return problems.empty(); }
};

[[nodiscard]] Verdict judge(const Case& evidence);

}  // namespace millrace::demo
