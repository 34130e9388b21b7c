// Faults on demand: what goes wrong, how often, for whom.
#pragma once

#include "core/order_command.h"
#include "tools/market/generator.h"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::sim {

/// As a terminal has them. Of a FIX session (fix/fix_session.h) an event is a message about orders
/// and its journal the numbers and messages that it keeps: DropEvent leaves a number out, which the
/// client may ask for; DuplicateEvent says the same under a new number; NoIntentJournal executes a
/// ClOrdID that comes again also where the account refuses them; an answer that leaves open what
/// was done (Retcode of that class, or `executed`) is none at all; DropRxAck is nothing.
enum class FaultKind : std::uint8_t {
    Retcode,           // answer `code`; with `executed` the order is done all the same
    Latency,           // request waits fixed + up to jitter; the answer waits `answer`
    PartialFill,       // only `share` of a market order
    DisconnectBefore,  // the connection drops and the command with it, before it is journalled
    DisconnectAfter,   // executed and journalled, the connection drops before the answer
    DropRxAck,         // RX_ACK is not sent
    DropEvent,         // Event is not sent in this session
    DuplicateEvent,    // Event is sent twice
    DuplicateCommand,  // the command arrives twice, as if the other side had sent it so
    NoIntentJournal,   // repeats are executed: makes doubles on purpose
    CrashOnReceive,    // kill -9: after the command is journalled, before it is sent
    CrashBeforeBooks,  // kill -9: journalled as being sent, not executed
    CrashAfterBooks,   // kill -9: executed, the answer not yet journalled
    CrashAfterAnswer,  // kill -9: the answer journalled, not sent
};
[[nodiscard]] std::optional<FaultKind> fault_kind(std::string_view name) noexcept;
[[nodiscard]] std::string_view to_string(FaultKind kind) noexcept;

struct Fault {
    FaultKind kind{};
    std::string name;                    // what it is counted as; "" = its kind
    std::uint64_t login = 0;             // 0 = every account
    std::optional<CommandType> command;  // none = every command
    std::uint64_t count = 0;             // how often it still strikes; 0 = by probability
    std::uint64_t probability_ppm = 0;   // millionths
    std::uint32_t code = 0;
    bool executed = false;
    Ratio share{kScale / 2};
    Nanos fixed;
    Nanos jitter;
    Nanos answer;
};

/// Threads: one.
class Faults {
public:
    explicit Faults(std::uint64_t seed) : random_{seed} {}

    void add(const Fault& fault) { faults_.push_back(fault); }
    void clear() { faults_.clear(); }
    [[nodiscard]] std::size_t size() const noexcept { return faults_.size(); }

    /// The first fault of `kind` that strikes now; uses up one of its count.
    [[nodiscard]] std::optional<Fault> strike(FaultKind kind, std::uint64_t login,
                                              std::optional<CommandType> command = {});
    /// How often each has struck since the start, by name.
    [[nodiscard]] const std::map<std::string, std::uint64_t>& struck() const noexcept {
        return struck_;
    }
    [[nodiscard]] market::Random& random() noexcept { return random_; }

private:
    Fault count(const Fault& fault);

    std::vector<Fault> faults_;
    std::map<std::string, std::uint64_t> struck_;
    market::Random random_;
};

}  // namespace millrace::sim
