// Standing: from when to when what a signal opened stood open at the broker, by its books. What
// cannot be told apart (of several signals' volume in one netting position somebody takes a part)
// counts as gone from then on: nothing is claimed of it.
#pragma once

#include "tools/demo_run/evidence.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace millrace::demo {

/// Threads: one.
class Standing {
public:
    /// Comment of a close -> comment of the opening that it closes.
    using Targets = std::map<std::string, std::string>;

    Standing() = default;
    Standing(const Evidence& books, const Targets& targets);

    /// True if something that the opening with this comment opened on `login` stood open all the
    /// time from `from` to `to` (wall clock, as in the books).
    [[nodiscard]] bool stood(std::uint64_t login, const std::string& comment, Nanos from,
                             Nanos to) const;

private:
    using Key = std::pair<std::uint64_t, std::string>;  // login, comment of the opening
    struct Holding {
        std::int64_t volume = 0;
        Nanos from;
        Nanos to;  // 0 = it stands still
    };

    void add(const BookedDeal& deal);
    void take(std::vector<Key>& in_position, const BookedDeal& deal, const Targets& targets);
    void end(const Key& key, Nanos when);

    std::map<Key, Holding> holdings_;
    /// By login and position: what is in it.
    std::map<std::pair<std::uint64_t, std::uint64_t>, std::vector<Key>> positions_;
};

}  // namespace millrace::demo
