// Lives: what the source itself knows of each signal that it sent: when, what it was told, and
// what every account made of it. Filled from the client's callbacks; nothing in here comes from
// the pipeline's own state.
#pragma once

#include "core/order_status.h"
#include "gateway/signal_ack_log.h"

#include <map>
#include <string>
#include <vector>

namespace millrace::demo {

/// Why a signal was sent, which decides what must become of it.
enum class Purpose : std::uint8_t {
    Trade,             // valid: has to be carried out
    RefusedOnPurpose,  // invalid: has to be refused
};

enum class Answer : std::uint8_t { None, Accepted, Refused };

/// One account's share of a signal.
struct Share {
    OrdStatus status = OrdStatus::PendingNew;
    Reason reason = Reason::None;
    std::uint32_t retcode = 0;
    Lots cum_volume;
    std::uint64_t magic = 0;
    bool done = false;
    bool was_in_doubt = false;
    Nanos ended;  // when it was told first that it is done
};

struct Life {
    SignalRequest request;
    Purpose purpose = Purpose::Trade;
    Answer answer = Answer::None;
    Reason reason = Reason::None;  // of a refusal
    std::string text;              // the edge's own words, if it refused
    Nanos sent;
    Nanos acked;
    Nanos ended;                 // refused or SignalDone
    std::uint32_t accounts = 0;  // SignalDone: orders made
    std::uint32_t filled = 0;    // SignalDone: orders carried out, wholly or in part
    std::uint32_t rejected = 0;
    bool forgotten = false;  // accepted, and refused as too old when it was sent again
    std::map<std::uint32_t, Share> shares;  // by account id

    /// Nothing more will come. An end can be told before the ack, which waits for the disk.
    [[nodiscard]] bool over() const noexcept { return ended.value != 0 && answer != Answer::None; }
    /// The last moment at which it may be carried out.
    [[nodiscard]] Nanos deadline() const noexcept;
};

/// Threads: one.
class Lives {
public:
    /// Counts a signal that is about to be sent. One sent again keeps its first stamp.
    void sent(const SignalRequest& request, Purpose purpose, Nanos now);
    void accepted(const SignalId& id, Nanos now);
    void refused(const SignalId& id, Reason reason, std::string_view text, Nanos now);
    void result(const SignalResult& result, Nanos now);

    [[nodiscard]] const std::map<SignalId, Life>& all() const noexcept { return lives_; }
    [[nodiscard]] const Life* find(const SignalId& id) const noexcept;
    /// Ids that have an Accepted and no end yet, or no answer at all.
    [[nodiscard]] std::vector<SignalId> open() const;
    [[nodiscard]] std::size_t open_count() const noexcept { return open_; }

private:
    /// Applies `change` to a life and keeps count of those that are open.
    template <class Change>
    void update(const SignalId& id, Change&& change);

    std::map<SignalId, Life> lives_;
    std::size_t open_ = 0;
};

}  // namespace millrace::demo
