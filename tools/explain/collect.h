// Collector: picks what belongs to one subject out of the two logs as they stream by.
#pragma once

#include "tools/explain/state.h"
#include "tools/explain/story.h"

#include <deque>
#include <memory>
#include <set>
#include <utility>

namespace millrace::explain {

/// First every effect, then effects_done(), then every journal record.
class Collector {
public:
    /// Finished orders of an account that are told too, the latest ones.
    static constexpr std::size_t kFinishedKept = 10;

    Collector(Story& story, const Where& where);
    void effect(const Effect& e);
    void effects_done();
    void record(const JournalRecord& r);
    /// Limits, kills and what ends the doubts, as they stand at the end of the log.
    void journal_done();

private:
    using Wanted = std::vector<std::pair<std::uint64_t, std::size_t>>;  // order, step

    [[nodiscard]] bool is_account() const noexcept {
        return story_->subject.what == Subject::What::Account;
    }
    [[nodiscard]] bool matches(const OrderRow& row) const noexcept;
    void order_row(const Effect& e, const OrderRow& row);
    void about_order(const Effect& e, std::uint64_t intent);
    void account_row(const Effect& e, const AccountRow& row);
    void account_event(AccountEvent event);
    void forget_finished(std::uint64_t intent);
    void begin_state(const JournalRecord& first);
    void take_in(const JournalRecord& r);
    void decide(const JournalRecord& r, const Wanted& changed);
    void signal_record(const JournalRecord& r, const Signal& s);
    void report(const JournalRecord& r, const Report& report);
    void admin(const JournalRecord& r, const AdminRecord& a);
    void tell_limits();

    Story* story_;
    const Where* where_;
    Standing standing_;
    std::unique_ptr<LogState> state_;
    bool asked_state_ = false;
    std::map<std::uint64_t, Wanted> wanted_;              // by record
    std::set<SignalId> theirs_;                           // signals of the orders
    std::map<SignalId, std::pair<Signal, Price>> heard_;  // with the reference price
    std::deque<std::uint64_t> finished_;
    std::uint64_t newest_ = 0;  // number of an order
    std::optional<Effect> standby_took_;
};

}  // namespace millrace::explain
