#include "tools/demo_run/standing.h"

#include <algorithm>
#include <utility>

namespace millrace::demo {

Standing::Standing(const Evidence& books, const Targets& targets) {
    for (const BookedDeal& deal : books.all_deals()) {
        std::vector<Key>& in_position = positions_[{deal.login, deal.position}];
        if (deal.is_in) {
            add(deal);
        } else {
            take(in_position, deal, targets);
        }
        if (deal.left == 0 || deal.is_turn) {
            for (const Key& key : std::exchange(in_position, {})) {
                end(key, deal.time);
            }
        }
    }
}

/// A deal of another program adds to the position, and to nothing of ours.
void Standing::add(const BookedDeal& deal) {
    if (!deal.is_ours || deal.command != CommandType::Open) {
        return;
    }
    const Key key{deal.login, deal.comment};
    std::vector<Key>& in_position = positions_[{deal.login, deal.position}];
    if (std::find(in_position.begin(), in_position.end(), key) == in_position.end()) {
        in_position.push_back(key);
        holdings_[key] = {0, deal.time, Nanos{}};
    }
    holdings_[key].volume += deal.volume;
}

void Standing::take(std::vector<Key>& in_position, const BookedDeal& deal, const Targets& targets) {
    const auto target = deal.is_ours && deal.command == CommandType::Close
                            ? targets.find(deal.comment)
                            : targets.end();
    const auto at = target != targets.end() ? std::find(in_position.begin(), in_position.end(),
                                                        Key{deal.login, target->second})
                                            : in_position.end();
    const bool is_alone = in_position.size() == 1;
    const Key* key = at != in_position.end() ? &*at : is_alone ? &in_position.front() : nullptr;
    if (key != nullptr && deal.volume < holdings_[*key].volume) {
        holdings_[*key].volume -= deal.volume;
        return;
    }
    if (key != nullptr && deal.volume == holdings_[*key].volume) {
        const Key closed = *key;
        std::erase(in_position, closed);
        end(closed, deal.time);
        return;
    }
    // Of whose volume it was, nobody can tell.
    for (const Key& gone : std::exchange(in_position, {})) {
        end(gone, deal.time);
    }
}

void Standing::end(const Key& key, Nanos when) {
    holdings_[key].to = when;
}

bool Standing::stood(std::uint64_t login, const std::string& comment, Nanos from, Nanos to) const {
    const auto at = holdings_.find({login, comment});
    return at != holdings_.end() && at->second.from <= from &&
           (at->second.to.value == 0 || to <= at->second.to);
}

}  // namespace millrace::demo
