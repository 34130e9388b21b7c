// Standing: what was in force at a place of the log, as its admin records and session reports say:
// specifications, memberships, kills, pauses, links. Each with the record that said so and who gave
// the command.
#pragma once

#include "core/actor.h"
#include "core/journal_record.h"

#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace millrace::explain {

/// Where something was said. Seq 0: not in the log that is left; taken from today's configuration.
struct Note {
    Sequence seq;
    Nanos time;
    Actor who;
};
template <class Spec>
struct Known {
    Spec spec{};
    Note note;
};
struct LinkNote {
    bool up = false;
    Note note;
};

/// A broker's answer that made the engine stop an account's entries.
struct RefusalNote {
    std::uint32_t retcode = 0;
    Note note;
};

class Standing {
public:
    /// The records that the present configuration makes: they stand until the log says otherwise.
    void seed(const std::vector<AdminRecord>& configured);
    /// The next record of the log. Commands that the engine refused are not to be given.
    void apply(const JournalRecord& record);

    [[nodiscard]] const Known<AccountSpec>* account(AccountId id) const;
    /// The account's limits; nullptr = it has none.
    [[nodiscard]] const Known<LimitSpec>* limits(AccountId id) const;
    [[nodiscard]] const Known<SymbolSpec>* symbol(SymbolId id) const;
    [[nodiscard]] const Known<MemberSpec>* member(GroupId group, AccountId account) const;
    [[nodiscard]] std::vector<AccountId> members_of(GroupId group) const;
    [[nodiscard]] const Known<RiskSpec>* risk() const { return risk_ ? &*risk_ : nullptr; }
    /// The last pause, resume and the like of an account; nullptr if the log has none.
    [[nodiscard]] const Known<AccountCommand>* account_set(AccountId id) const;
    [[nodiscard]] const Known<GroupCommand>* group_set(GroupId id) const;
    [[nodiscard]] const LinkNote* link(AccountId id) const;
    /// The last 10019 NO_MONEY, or code that says the account cannot trade; nullptr = none.
    [[nodiscard]] const RefusalNote* refusal(AccountId id) const;

    struct Scope {
        AccountId account{kNoId};
        SymbolId symbol{kNoId};
        GroupId group{kNoId};
        SourceId source{kNoId};
    };
    /// Kills that are in force for an order of this scope, oldest first.
    [[nodiscard]] std::vector<Known<KillCommand>> kills_on(const Scope& scope) const;

private:
    using Pair = std::pair<std::uint32_t, std::uint32_t>;
    void admin(const AdminRecord& r, const Note& note);
    void define_limits(const LimitSpec& l, const Note& note);
    void report(const Report& r, const Note& note);

    std::map<std::uint32_t, Known<AccountSpec>> accounts_;
    std::map<std::uint32_t, Known<LimitSpec>> limits_;  // of accounts that have some
    std::map<std::uint32_t, Known<SymbolSpec>> symbols_;
    std::map<Pair, Known<MemberSpec>> members_;  // group, account
    std::optional<Known<RiskSpec>> risk_;
    std::map<std::uint32_t, Known<AccountCommand>> account_set_;
    std::map<std::uint32_t, Known<GroupCommand>> group_set_;
    std::map<std::uint32_t, LinkNote> links_;
    std::map<std::uint32_t, RefusalNote> refusals_;
    std::map<Pair, Known<KillCommand>> kills_;  // scope, its id
};

/// `alice (uid 0) on host1`; empty if nobody was recorded.
[[nodiscard]] std::string who_text(const Actor& who);

}  // namespace millrace::explain
