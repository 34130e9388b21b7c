#include "tools/demo_run/evidence.h"

#include "tools/market/text.h"

#include <algorithm>

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
    switch (r.kind) {
        case sim::BookKind::Order: return add_order(r);
        case sim::BookKind::Deal: return add_deal(r);
        case sim::BookKind::OrderModified:
        case sim::BookKind::OrderCanceled:
        case sim::BookKind::PositionModified: return add_change(r);
        case sim::BookKind::Refused: ++refused_; return;
        case sim::BookKind::Repeated:
            if (Magic{r.magic}.tag() == tag_) {
                repeats_.push_back({r.login, Magic{r.magic}.intent(), r.command, r.position_ticket,
                                    std::string{market::view_of(r.comment)}});
            }
            return;
        case sim::BookKind::Account: return;
    }
}

void Evidence::add_order(const sim::BookRecord& r) {
    const std::string comment{market::view_of(r.comment)};
    placed_[{r.login, r.order}] = {r.command, r.magic, comment, Nanos{r.time_ns}, Nanos{}};
    const bool pending = r.command == CommandType::Open && r.price_kind != PriceKind::Market;
    if (pending && Magic{r.magic}.tag() == tag_) {
        working_[{r.login, Magic{r.magic}.intent()}].insert(r.order);
        placed_by_signal_[{r.login, comment}].insert(r.order);
    }
}

void Evidence::add_deal(const sim::BookRecord& r) {
    ++deals_;
    // Stops, stop-outs and the kill switch are the broker's own doing, not an execution of ours.
    const bool requested = r.reason == ExecKind::None || r.reason == ExecKind::PendingFilled;
    const auto at = placed_.find({r.login, r.order});
    BookedDeal& deal = all_deals_.emplace_back();
    deal.time = Nanos{r.time_ns};
    deal.login = r.login;
    deal.position = r.position;
    deal.volume = r.volume;
    deal.left = r.position_volume;
    deal.is_in = r.entry == sim::Entry::In;
    deal.is_turn = r.entry == sim::Entry::InOut;
    if (!requested || at == placed_.end() || Magic{at->second.magic}.tag() != tag_) {
        return;
    }
    at->second.over = at->second.over.value != 0 ? at->second.over : deal.time;
    deal.is_ours = true;
    deal.command = at->second.command;
    deal.comment = at->second.comment;
    ++own_deals_;
    const Placed& placed = at->second;
    const Key key{r.login, Magic{placed.magic}.intent()};
    working_[key].erase(r.order);
    Execution& execution = by_intent_[key];
    execution.command = placed.command;
    execution.comment = placed.comment;
    execution.orders.insert(r.order);
    execution.volume += r.volume;
    executed_on_[placed.comment].insert(r.login);
    if (placed.command == CommandType::Open) {
        opened_[placed.comment][r.login].insert(r.order);
    } else if (placed.command == CommandType::Close) {
        closed_by_[{r.login, placed.comment}].insert(key.second);
    }
}

void Evidence::add_change(const sim::BookRecord& r) {
    const bool canceled = r.kind == sim::BookKind::OrderCanceled;
    const auto at = placed_.find({r.login, r.order});
    if (canceled && at != placed_.end()) {  // by whomever
        working_[{r.login, Magic{at->second.magic}.intent()}].erase(r.order);
        at->second.over = Nanos{r.time_ns};
    }
    // The rest of a partly filled market order is cancelled under that order's own command.
    const bool asked = r.reason == ExecKind::None && Magic{r.magic}.tag() == tag_ &&
                       r.command == (canceled ? CommandType::Cancel : CommandType::Modify);
    if (asked) {
        changed_[{r.login, Magic{r.magic}.intent()}] = {r.command,
                                                        r.kind == sim::BookKind::PositionModified,
                                                        r.price, r.stop_loss, r.take_profit};
    }
}

const Change* Evidence::changed(std::uint64_t login, std::uint64_t intent) const {
    const auto at = changed_.find({login, intent});
    return at == changed_.end() ? nullptr : &at->second;
}

bool Evidence::works(std::uint64_t login, std::uint64_t intent) const {
    const auto at = working_.find({login, intent});
    return at != working_.end() && !at->second.empty();
}

bool Evidence::worked(std::uint64_t login, const std::string& comment, Nanos from, Nanos to) const {
    const auto tickets = placed_by_signal_.find({login, comment});
    return tickets != placed_by_signal_.end() &&
           std::any_of(tickets->second.begin(), tickets->second.end(), [&](std::uint64_t ticket) {
               const Placed& order = placed_.at({login, ticket});
               return order.from <= from && (order.over.value == 0 || to <= order.over);
           });
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

std::size_t Evidence::closing_intents(std::uint64_t login, const std::string& comment) const {
    const auto at = closed_by_.find({login, comment});
    return at == closed_by_.end() ? 0 : at->second.size();
}

bool Evidence::executed_on(std::uint64_t login, const std::string& comment) const {
    const auto at = executed_on_.find(comment);
    return at != executed_on_.end() && at->second.contains(login);
}

std::size_t Evidence::executed_accounts(const std::string& comment) const {
    const auto at = executed_on_.find(comment);
    return at == executed_on_.end() ? 0 : at->second.size();
}

}  // namespace millrace::demo
