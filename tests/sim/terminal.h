// Terminal: one account's executor with its intent journal, as gateway/bridge_wire.h demands, and
// the faults a real one has.
#pragma once

#include "tests/sim/books.h"
#include "tests/sim/rng.h"

#include <deque>
#include <vector>

namespace millrace::sim {

/// Deliberate bugs in the model around the engine: each must be found by an invariant.
enum class Canary : std::uint8_t {
    None,
    ExecutesWhatItRefused,  // Unsent(Expired) although it was executed
    ForgetsIntents,         // a resent command is executed again
    AbsentWithoutProof,     // QueryAbsent while the order is on its way
    LosesEvents,            // an Exec event disappears
    RepublishesOutputs,     // restart does not compare (seq, k)
    ForgetsOutputs,         // restart does not publish what is missing
    SendsBeforeDurable,     // the egress gate is open
    SkipsRecordInReplay,    // restart leaves one record out
    DropsResults,           // a result never reaches its ring
    ReplaysAtAnotherTime,   // replay takes the time from elsewhere
};
inline constexpr int kCanaries = static_cast<int>(Canary::ReplaysAtAnotherTime);

/// Per mille at each occasion; drawn per seed, each class off with one half.
struct Faults {
    std::uint32_t refuse = 0;        // a definite "no" of the trade server
    std::uint32_t unknown_code = 0;  // a code that says nothing, executed or not
    std::uint32_t partial = 0;
    std::uint32_t placed_first = 0;    // 10008 for a market order, its deal later
    std::uint32_t latency = 0;         // up to 20 s, beyond the answer timeout
    std::uint32_t terminal_crash = 0;  // between journal, execution and answer
    std::uint32_t journal_loss = 0;
    std::uint32_t cut = 0;           // the connection goes, what is on the wire is lost
    std::uint32_t stale = 0;         // a frame refused as of an older session
    std::uint32_t broker_moves = 0;  // SL, TP, pendings filled and removed
    std::uint32_t engine_crash = 0;
    std::uint32_t host_crash = 0;   // segment and undurable tail lost
    std::uint32_t slow_reader = 0;  // results are not read
    std::uint32_t resend = 0;       // source repeats itself
    std::uint32_t kill = 0;
    std::uint32_t losses = 0;  // readings of equity that fall, some wrong; with limits of accounts
    std::uint32_t away = 0;    // its trade server is out of reach, or only just reached again
};

class Terminal {
public:
    Terminal(AccountId account, MarginMode mode, const Faults& faults, Canary canary,
             std::uint64_t seed)
        : books{account, mode}, account_{account}, faults_{&faults}, canary_{canary}, rng_{seed} {}

    /// Takes a command frame; answers become events.
    void on_command(std::uint64_t number, const OrderCommand& c, Nanos now);
    /// Executes what is due. @return work done.
    bool step(Nanos now);
    /// Dies and comes back: what was on its way was executed or not, nobody was told.
    void crash(Nanos now);
    void lose_journal(Nanos now);
    void kill(std::uint8_t actions);
    void broker_moves();
    void acknowledge(std::uint64_t event_seq);
    /// A new segment counts commands anew.
    void new_command_epoch() { command_seq_ = 0; }

    [[nodiscard]] std::uint64_t journal_id() const { return journal_id_; }
    [[nodiscard]] std::uint64_t command_seq() const { return command_seq_; }
    [[nodiscard]] const std::deque<Report>& events() const { return events_; }
    [[nodiscard]] bool busy() const { return !flights_.empty(); }

    Books books;

private:
    struct Intent {
        OrderCommand command;
        bool answered = false;
        Report answer;
        Nanos since;  // the answer, or the death that left it without one
    };
    struct Flight {
        Nanos due;
        OrderCommand command;
    };

    void execute(const OrderCommand& c, Nanos now);
    void conclude(const OrderCommand& c, const Report& r, Nanos now);
    void add_event(Report r);
    [[nodiscard]] Report query(Magic magic, Nanos now);
    [[nodiscard]] Report unsent(const OrderCommand& c, Reason why) const;

    AccountId account_;
    const Faults* faults_;
    Canary canary_;
    Rng rng_;
    std::map<std::uint64_t, Intent> intents_;
    std::deque<Report> events_;
    std::deque<Flight> flights_;
    std::uint64_t journal_id_ = 1;
    std::uint64_t command_seq_ = 0;
    std::uint64_t next_event_ = 1;
    bool journal_was_lost_ = false;
    Nanos journal_created_;
    std::uint8_t killed_ = 0;
};

}  // namespace millrace::sim
