#include "tools/demo_run/evidence.h"

#include "tools/market/text.h"

namespace millrace::demo {

std::string comment_of(const SignalId& id) {
    static constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz234567";
    // 80 bits are 16 groups of 5: twelve of them lie in `hi`, one straddles, three in `lo`.
    std::string text;
    for (int group = 0; group < 16; ++group) {
        unsigned value = 0;
        for (int bit = group * 5; bit < group * 5 + 5; ++bit) {
            const std::uint64_t word = bit < 64 ? id.hi : id.lo;
            value = value << 1 | static_cast<unsigned>(word >> (63 - bit % 64) & 1);
        }
        text += kAlphabet[value];
    }
    return text;
}

void Evidence::add(const sim::BookRecord& r) {
    if (r.kind == sim::BookKind::Order) {
        placed_[{r.login, r.order}] = {r.command, r.magic, std::string{market::view_of(r.comment)}};
        return;
    }
    if (r.kind == sim::BookKind::Refused) {
        ++refused_;
        return;
    }
    if (r.kind == sim::BookKind::Repeated && Magic{r.magic}.tag() == tag_) {
        repeats_.push_back({r.login, Magic{r.magic}.intent(), r.command, r.position_ticket,
                            std::string{market::view_of(r.comment)}});
    }
    if (r.kind != sim::BookKind::Deal) {
        return;
    }
    ++deals_;
    // Stops, stop-outs and the kill switch are the broker's own doing, not an execution of ours.
    const bool requested = r.reason == ExecKind::None || r.reason == ExecKind::PendingFilled;
    const auto at = placed_.find({r.login, r.order});
    if (!requested || at == placed_.end() || Magic{at->second.magic}.tag() != tag_) {
        return;
    }
    ++own_deals_;
    const Placed& placed = at->second;
    Execution& execution = by_intent_[{r.login, Magic{placed.magic}.intent()}];
    execution.command = placed.command;
    execution.comment = placed.comment;
    execution.orders.insert(r.order);
    execution.volume += r.volume;
    executed_on_[placed.comment].insert(r.login);
    if (placed.command == CommandType::Open) {
        opened_[placed.comment][r.login].insert(r.order);
    }
}

const Execution* Evidence::find(std::uint64_t login, std::uint64_t intent) const {
    const auto at = by_intent_.find({login, intent});
    return at == by_intent_.end() ? nullptr : &at->second;
}

const std::map<std::uint64_t, std::set<std::uint64_t>>& Evidence::opened(
    const std::string& comment) const {
    static const std::map<std::uint64_t, std::set<std::uint64_t>> none;
    const auto at = opened_.find(comment);
    return at == opened_.end() ? none : at->second;
}

std::size_t Evidence::executed_accounts(const std::string& comment) const {
    const auto at = executed_on_.find(comment);
    return at == executed_on_.end() ? 0 : at->second.size();
}

}  // namespace millrace::demo
