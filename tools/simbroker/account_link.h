// How an account of the simulated broker is traded: through a terminal of its own (terminal.h) or
// over FIX (fix/fix_session.h).
#pragma once

#include "core/result.h"
#include "core/types.h"
#include "tools/simbroker/books.h"

#include <cstdint>
#include <vector>

namespace millrace::sim {

struct LinkCounters {
    std::uint64_t commands = 0;    // received; of a terminal: journalled
    std::uint64_t repeats = 0;     // of what it has
    std::uint64_t stale = 0;       // terminal: of an older generation or epoch
    std::uint64_t sessions = 0;    // handshakes, logons
    std::uint64_t connects = 0;    // attempts
    std::uint64_t bad_frames = 0;  // and messages
};

/// Threads: one (the loop's).
class AccountLink {
public:
    virtual ~AccountLink() = default;
    AccountLink() = default;
    AccountLink(const AccountLink&) = delete;
    AccountLink& operator=(const AccountLink&) = delete;

    /// Loads what it keeps of itself, then takes part.
    /// @param missed records of the books that tell it what it has missed, oldest first.
    [[nodiscard]] virtual Status start(const std::vector<BookRecord>& missed) = 0;

    /// Something happened to the account in the server's books.
    virtual void on_record(const BookRecord& record) = 0;
    /// Sends a quote, canonical name; dropped if the peer does not keep up.
    virtual void send_tick(const Text<16>& symbol, Price bid, Price ask, Nanos time) = 0;
    /// Is deaf and dumb from now on: reads nothing, sends nothing, not even heartbeats.
    /// @param announced the peer is told before, where its protocol has words for it.
    virtual void busy(std::uint32_t ms, bool announced) = 0;
    /// Closes the connection as a network failure would.
    virtual void drop_connection(const char* why) = 0;
    /// How often it tells what the account holds, in ms (0 = never), where its protocol has that.
    virtual void tell_holdings_each(std::uint32_t /*ms*/) noexcept {}
    /// Throws away what it keeps of itself and begins anew.
    [[nodiscard]] virtual Status lose_journal() = 0;
    /// Sends what can be sent at once and closes: for an orderly end.
    virtual void finish() = 0;

    [[nodiscard]] virtual bool is_up() const noexcept = 0;
    /// One of them that has this carries the market's quotes for all.
    [[nodiscard]] virtual bool may_carry_quotes() const noexcept = 0;
    [[nodiscard]] virtual std::uint64_t login() const noexcept = 0;
    [[nodiscard]] virtual const LinkCounters& counters() const noexcept = 0;
    /// Events or messages that the peer has not said it has.
    [[nodiscard]] virtual std::size_t unacknowledged() const = 0;
};

}  // namespace millrace::sim
