// A run of a pipeline from its start to the moment in which the power goes, recorded: what its disk
// was asked, and what the world outside had seen of it at each of these moments.
#pragma once

#include <random>

#include "tests/recovery/stepped_host.h"

namespace millrace::test {

/// What the world outside the host had seen of it at some moment.
struct Outside {
    std::uint64_t durable = 0;    // told as durable
    std::uint64_t published = 0;  // last record in the journal's ring
    std::size_t put_out = 0;      // of Recording::commands, those in the orders ring so far
    std::size_t taken = 0;        // of these, taken by the broker
    std::size_t reservation = 0;  // in Recording::reservations
};

/// A run from a start to the moment in which the power goes.
struct Recording {
    testing::MemoryLog before;  // the journal files that it began with
    std::vector<testing::DiskEvent> events;
    std::vector<Outside> outside;                       // the last when n events had happened
    std::vector<std::string> reservations;              // as the file was, one after the other
    std::map<std::uint64_t, std::uint64_t> state_hash;  // after each record, but a Jump
    std::vector<OrderCommand> commands;                 // put out, in order
    std::map<std::uint64_t, std::uint64_t> accepted;    // signal -> record
};

/// The reservation's file, whole.
[[nodiscard]] std::filesystem::path reservation_of(const Pipeline& p);

/// Makes recordings, one after the other: what one leaves, the next begins with. A seed draws what
/// happens: entries, pendings, closes, modifies, cancels, answers kept back, new sessions, another
/// journal stage in the same segment, writes that do not complete.
class Recorder {
public:
    /// @param p source and broker; its counts go on from recording to recording.
    Recorder(Pipeline& p, std::uint64_t seed) : p_{p}, random_{seed} {}

    /// A run of `rounds` things that happen. Expects that each start and restart succeeds.
    Recording record(int rounds);

    /// Numbers of the entries that nothing closes, changes or cancels.
    std::set<std::uint64_t> left_alone;

private:
    void note();
    void act();
    void change_something();
    void enter();
    void steps(int count);
    void come_to_rest();

    Pipeline& p_;
    std::mt19937_64 random_;
    testing::MemoryLog log_;
    SteppedHost host_{p_, log_};
    Recording run_;
    testing::DiskTape tape_;
    std::size_t base_ = 0;         // commands of the runs before
    std::uint64_t published_ = 0;  // their last record
    std::uint64_t generation_ = 0;
    std::vector<SignalId> opened_;
};

}  // namespace millrace::test
