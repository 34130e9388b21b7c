#include "tools/demo_run/verdict.h"

#include "tools/demo_run/standing.h"
#include "tools/market/decimal.h"

#include <algorithm>

namespace millrace::demo {
namespace {

/// Refusals that a market explains: the price moved, the broker said no. What we refuse by rules of
/// our own is not among them.
bool is_of_market(Reason why) noexcept {
    switch (why) {
        case Reason::PriceCollar:
        case Reason::BrokerReject:
        case Reason::MarketClosed:
        case Reason::NoMoney: return true;
        default: return false;
    }
}

class Judge {
public:
    explicit Judge(const Case& c) : case_{c} {}

    Verdict run() {
        Standing::Targets targets;
        for (const auto& [id, life] : case_.lives.all()) {
            by_comment_[comment_of(id)] = id;
            if (life.request.action == SignalAction::Close) {
                targets[comment_of(id)] = comment_of(life.request.target);
            }
        }
        standing_ = Standing{case_.books, targets};
        for (const auto& [id, life] : case_.lives.all()) {
            judge_life(id, life);
        }
        for (const AckLogEntry& entry : case_.ack_log) {
            check_ack(entry);
        }
        for (const auto& [key, execution] : case_.books.executions()) {
            check_execution(key, execution);
        }
        for (const auto& [key, tickets] : case_.books.placed()) {
            check_placed(key.first, key.second, tickets.size());
        }
        for (const Repeat& repeat : case_.books.repeats()) {
            check_repeat(repeat);
        }
        return std::move(verdict_);
    }

private:
    void add(Wrong wrong, const SignalId& id, std::string text) {
        verdict_.problems.push_back({wrong, id, std::move(text)});
    }

    /// The log survives the source; a life that it does not know would be a hole in the witness.
    void check_ack(const AckLogEntry& entry) {
        const Life* life = case_.lives.find(entry.request.id);
        const bool acked =
            entry.kind == AckLogKind::Accepted || entry.kind == AckLogKind::Duplicate;
        if (acked) {
            acked_.insert(entry.request.id);
        }
        if (acked && (life == nullptr || !life->over())) {
            if (ended_lost_.insert(entry.request.id).second) {
                add(Wrong::Lost, entry.request.id, "acknowledged, and its end was never told");
            }
        }
    }

    void judge_life(const SignalId& id, const Life& life) {
        count_ends(life);
        if (life.purpose == Purpose::RefusedOnPurpose) {
            if (life.answer != Answer::Refused) {
                add(Wrong::Refusal, id, "sent wrong on purpose and not refused");
            }
            return;
        }
        check_books(id, life);
        check_orders_made(id, life);
        // A signal that ended needs its life up to the end; one that expired, up to its deadline.
        const Nanos end = life.over() ? life.ended : life.deadline();
        if (case_.outages.touch(life.sent, std::max(end, life.acked))) {
            check_orders_of_change(id, life);
            return;
        }
        ++verdict_.untouched;
        check_untouched(id, life);
    }

    void count_ends(const Life& life) {
        for (const auto& [account, share] : life.shares) {
            if (share.done) {
                std::string key{to_string(share.status)};
                if (share.reason != Reason::None) {
                    key += ": " + std::string{to_string(share.reason)};
                }
                ++verdict_.order_ends[key];
            }
        }
    }

    /// What the source was told against what the broker did.
    void check_books(const SignalId& id, const Life& life) {
        const std::string comment = comment_of(id);
        std::uint32_t told = 0;
        for (const auto& [account, share] : life.shares) {
            if (share.done && moves_volume(life)) {
                ++told;
                check_share(id, account, share);
            } else if (share.done) {
                check_change(id, life, account, share);
            }
        }
        // Results may be missed while ingress is down; the end of the signal still gives the sum.
        const std::size_t executed = case_.books.executed_accounts(comment);
        if (told < life.accounts && moves_volume(life) && !may_be_sum(life, executed)) {
            add(Wrong::Lost, id,
                "told that " + std::to_string(life.filled) + " accounts filled, the books have " +
                    std::to_string(executed));
        }
    }

    /// Could `executed` accounts be what the source was told in one number? A close may be two
    /// orders on an account, one of which executes nothing: it cancels what still worked, which of
    /// an opening at the market is at most a rest.
    [[nodiscard]] bool may_be_sum(const Life& life, std::size_t executed) const {
        if (life.request.action == SignalAction::Open) {
            return executed == life.filled;
        }
        const Life* opened = case_.lives.find(life.request.target);
        const bool at_market = opened != nullptr && opened->request.price_kind == PriceKind::Market;
        return executed <= life.filled && (!at_market || 2 * executed >= life.filled);
    }

    /// Each account of the group has an order of an opening that was accepted, whatever died
    /// meanwhile and whatever became of that order: who is paused, refused or short of money is
    /// told so.
    void check_orders_made(const SignalId& id, const Life& life) {
        if (life.forgotten) {
            if (!case_.log_was_lost) {
                add(Wrong::Lost, id, "accepted, and unknown when it was sent again");
            }
            return;
        }
        const auto group = case_.groups.find(life.request.group);
        const bool ended =
            life.accounts > 0 || (life.answer == Answer::Accepted && life.ended.value != 0);
        if (life.request.action == SignalAction::Open && ended && group != case_.groups.end() &&
            life.accounts != group->second) {
            add(Wrong::Lost, id,
                "group " + group->first + " has " + std::to_string(group->second) +
                    " accounts, and it ended with orders on " + std::to_string(life.accounts));
        }
    }

    /// A close or modify that was accepted, and ended, has an order on each account where what it
    /// is about stood open all the time, whatever died meanwhile. (A cancel has nothing to do
    /// there.)
    void check_orders_of_change(const SignalId& id, const Life& life) {
        const bool counts = life.answer == Answer::Accepted && life.ended.value != 0;
        const bool acts_on_positions = life.request.action == SignalAction::Close ||
                                       life.request.action == SignalAction::Modify;
        if (!acts_on_positions || !counts || life.forgotten || case_.log_was_lost) {
            return;
        }
        const std::string target = comment_of(life.request.target);
        std::size_t stood = life.shares.size();
        for (const auto& [account, login] : case_.logins) {
            const bool untold = !life.shares.contains(account) && was_told_filled(life, account);
            stood += untold && standing_.stood(login, target, life.sent - case_.clocks_apart,
                                               life.ended + case_.clocks_apart)
                         ? 1U
                         : 0U;
        }
        if (stood > life.accounts) {
            add(Wrong::Lost, id,
                "what it is about stood open, or was acted on, on " + std::to_string(stood) +
                    " accounts, and it ended with orders on " + std::to_string(life.accounts));
        }
    }

    static bool moves_volume(const Life& life) noexcept {
        return life.request.action == SignalAction::Open ||
               life.request.action == SignalAction::Close;
    }

    void check_share(const SignalId& id, std::uint32_t account, const Share& share) {
        ++verdict_.checked_orders;
        const auto login = case_.logins.find(account);
        if (login == case_.logins.end() || share.magic == 0) {
            if (share.cum_volume.value > 0) {
                add(Wrong::Lost, id,
                    "filled on account " + std::to_string(account) +
                        ", which has no login or the order no magic");
            }
            return;
        }
        const Execution* found = case_.books.find(login->second, Magic{share.magic}.intent());
        const std::int64_t executed = found == nullptr ? 0 : found->volume;
        if (executed != share.cum_volume.value) {
            add(Wrong::Lost, id,
                "login " + std::to_string(login->second) + ": told " +
                    std::string{to_string(share.status)} + " " +
                    market::format_decimal(share.cum_volume.value) + " lots, the books have " +
                    market::format_decimal(executed));
        }
        if (case_.books.works(login->second, Magic{share.magic}.intent())) {
            add(Wrong::Lost, id,
                "login " + std::to_string(login->second) + ": told " +
                    std::string{to_string(share.status)} + ", and at the broker it still works");
        }
    }

    /// A Modify or Cancel: what was told of it is what the books show.
    void check_change(const SignalId& id, const Life& life, std::uint32_t account,
                      const Share& share) {
        ++verdict_.checked_orders;
        const bool told = share.status == OrdStatus::Filled;
        const auto login = case_.logins.find(account);
        const bool known = login != case_.logins.end() && share.magic != 0;
        const Change* found =
            known ? case_.books.changed(login->second, Magic{share.magic}.intent()) : nullptr;
        const std::string who =
            known ? "login " + std::to_string(login->second) : "account " + std::to_string(account);
        if (told != (found != nullptr)) {
            add(Wrong::Lost, id,
                who + ": told " + std::string{to_string(share.status)} + " " +
                    std::string{to_string(share.reason)} + ", the books have " +
                    (found == nullptr ? "no such change" : "made the change"));
        } else if (told && !is_as_asked(life.request, *found)) {
            add(Wrong::Lost, id,
                who + ": told FILLED, the books have price " +
                    market::format_decimal(found->price) + ", SL " +
                    market::format_decimal(found->stop_loss) + ", TP " +
                    market::format_decimal(found->take_profit));
        }
    }

    static bool is_as_asked(const SignalRequest& asked, const Change& found) noexcept {
        if (asked.action == SignalAction::Cancel) {
            return found.command == CommandType::Cancel;
        }
        const bool keeps_price = asked.price.value == 0 || found.of_position;
        return found.command == CommandType::Modify && found.stop_loss == asked.stop_loss.value &&
               found.take_profit == asked.take_profit.value &&
               (keeps_price || found.price == asked.price.value);
    }

    void check_untouched(const SignalId& id, const Life& life) {
        if (life.answer == Answer::None) {
            add(Wrong::Unfilled, id, "never answered");
            return;
        }
        if (life.answer == Answer::Refused) {
            refused(id, life);
            return;
        }
        std::size_t unfilled = 0;
        for (const auto& [account, share] : life.shares) {
            if (share.done && share.cum_volume.value == 0) {
                ++unfilled;
                check_ended(id, life, account, share);
            }
        }
        if (life.request.action == SignalAction::Open) {
            check_reach(id, life, unfilled);
        } else if (life.answer == Answer::Accepted && life.over() && !follows_touched(life)) {
            check_acted(id, life);
        }
    }

    /// Each account of the group has opened, by the broker's books, or was told why not (and that
    /// was judged by itself).
    void check_reach(const SignalId& id, const Life& life, std::size_t unfilled) {
        const auto group = case_.groups.find(life.request.group);
        const std::size_t opened = case_.books.opened(comment_of(id)).size();
        if (group == case_.groups.end() || opened + unfilled >= group->second) {
            return;
        }
        add(Wrong::Unfilled, id,
            "group " + group->first + " has " + std::to_string(group->second) +
                " accounts: opened on " + std::to_string(opened) + ", told why not on " +
                std::to_string(unfilled));
    }

    /// What a Close, Modify or Cancel is about stood open, or worked as a pending order, before and
    /// after it: then there was something to do, whatever was told. What is to be all closed or
    /// cancelled does not stand there after it.
    void check_acted(const SignalId& id, const Life& life) {
        const std::string target = comment_of(life.request.target);
        const Nanos from = life.sent - case_.clocks_apart;
        const Nanos to = life.ended + case_.clocks_apart;
        for (const auto& [account, login] : case_.logins) {
            const bool works = case_.books.worked(login, target, from, to);
            const bool stands =
                was_told_filled(life, account) && standing_.stood(login, target, from, to);
            const auto share = life.shares.find(account);
            const Share* told =
                share != life.shares.end() && share->second.done ? &share->second : nullptr;
            const bool judged = told != nullptr && told->status != OrdStatus::Filled &&
                                told->reason != Reason::NothingToDo;  // by that reason
            const bool executed = case_.books.executed_on(login, comment_of(id));
            if ((works || stands) && !judged && !has_acted(life, told, works, executed)) {
                add(Wrong::Unfilled, id,
                    "login " + std::to_string(login) + ": told " +
                        (told == nullptr ? "nothing"
                                         : std::string{to_string(told->status)} + " " +
                                               std::string{to_string(told->reason)}) +
                        ", and what it is about " + (works ? "worked" : "stood open") +
                        " before and after it");
            }
        }
    }

    /// Before it was sent: then the engine knew it, too.
    [[nodiscard]] bool was_told_filled(const Life& life, std::uint32_t account) const {
        const Life* opened = case_.lives.find(life.request.target);
        if (opened == nullptr) {
            return false;
        }
        const auto share = opened->shares.find(account);
        return share != opened->shares.end() && share->second.done &&
               share->second.cum_volume.value > 0 && share->second.ended <= life.sent;
    }

    /// On an account where what it is about is still there after it.
    static bool has_acted(const Life& life, const Share* told, bool works, bool executed) noexcept {
        switch (life.request.action) {
            case SignalAction::Close: return !works && executed && life.request.volume.value > 0;
            case SignalAction::Cancel: return !works;
            // The books say so too, or check_change() has complained.
            default: return told != nullptr && told->status == OrdStatus::Filled;
        }
    }

    void refused(const SignalId& id, const Life& life) {
        if (life.reason == Reason::Expired) {
            add(Wrong::Expired, id, "refused as expired, with no outage in its life");
        } else if (!follows_touched(life) &&
                   !(case_.market_may_refuse && is_of_market(life.reason))) {
            add(Wrong::Unfilled, id,
                "refused: " + std::string{to_string(life.reason)} + " " + life.text);
        }
    }

    void check_ended(const SignalId& id, const Life& life, std::uint32_t account,
                     const Share& share) {
        const std::string who = "account " + std::to_string(account) + ": ";
        if (share.status == OrdStatus::Expired) {
            add(Wrong::Expired, id, who + "expired, with no outage in its life");
            return;
        }
        const bool opens = life.request.action == SignalAction::Open;
        if (share.status == OrdStatus::Filled || (share.reason == Reason::NothingToDo && !opens)) {
            return;  // modified or cancelled as asked; or closed at the broker before
        }
        if (share.status == OrdStatus::Canceled && life.request.price_kind != PriceKind::Market) {
            return;  // a pending order that was taken back
        }
        if (came_too_late(life, account)) {
            return;  // its pending order was filled while the cancel was on its way
        }
        if (!follows_touched(life) && !(case_.market_may_refuse && is_of_market(share.reason))) {
            add(Wrong::Unfilled, id,
                who + std::string{to_string(share.status)} + ": " +
                    std::string{to_string(share.reason)} + ", retcode " +
                    std::to_string(share.retcode));
        }
    }

    /// A cancel or modify of a pending order that the broker filled meanwhile.
    [[nodiscard]] bool came_too_late(const Life& life, std::uint32_t account) const {
        const bool changes = life.request.action == SignalAction::Cancel ||
                             life.request.action == SignalAction::Modify;
        const Life* opened = changes ? case_.lives.find(life.request.target) : nullptr;
        if (opened == nullptr || opened->request.price_kind == PriceKind::Market) {
            return false;
        }
        const auto share = opened->shares.find(account);
        return share != opened->shares.end() && share->second.cum_volume.value > 0;
    }

    /// True for a close, modify or cancel whose opening signal a fault touched.
    [[nodiscard]] bool follows_touched(const Life& life) const {
        if (life.request.target.is_none()) {
            return false;
        }
        const Life* opened = case_.lives.find(life.request.target);
        return opened == nullptr || opened->answer != Answer::Accepted ||
               case_.outages.touch(opened->sent, opened->over() ? opened->ended : life.sent);
    }

    /// Of two copies of a signal the first may be refused for a passing reason and the second
    /// accepted: then an ack or results came after all.
    [[nodiscard]] bool only_refused(const Life& life) const {
        return life.answer == Answer::Refused && life.shares.empty() && life.accounts == 0 &&
               !acked_.contains(life.request.id);
    }

    void check_execution(const Evidence::Key& key, const Execution& execution) {
        const auto at = by_comment_.find(execution.comment);
        const SignalId id = at == by_comment_.end() ? SignalId{} : at->second;
        const std::string where =
            "login " + std::to_string(key.first) + ", intent " + std::to_string(key.second);
        if (at == by_comment_.end()) {
            add(Wrong::Unknown, id,
                where + ": comment \"" + execution.comment + "\" belongs to no signal of ours");
        } else if (const Life* life = case_.lives.find(id);
                   life != nullptr && only_refused(*life)) {
            add(Wrong::Unknown, id,
                where + ": executed, and its source was told that it is refused: " +
                    std::string{to_string(life->reason)} + " " + life->text);
        }
        if (execution.orders.size() > 1) {
            add(Wrong::Doubled, id,
                where + ": executed by " + std::to_string(execution.orders.size()) + " orders");
        } else if (execution.command == CommandType::Open &&
                   case_.books.opened(execution.comment).at(key.first).size() > 1) {
            add(Wrong::Doubled, id, where + ": its signal opened more than once there");
        } else if (execution.command == CommandType::Close &&
                   case_.books.closing_intents(key.first, execution.comment) > 1) {
            add(Wrong::Doubled, id, where + ": its signal closed by more than one intent there");
        }
    }

    [[nodiscard]] SignalId signal_of(const std::string& comment) const {
        const auto at = by_comment_.find(comment);
        return at == by_comment_.end() ? SignalId{} : at->second;
    }

    /// A pending order that is cancelled in time has no deal and may stand there twice all the
    /// same.
    void check_placed(std::uint64_t login, const std::string& comment, std::size_t orders) {
        if (orders > 1) {
            add(Wrong::Doubled, signal_of(comment),
                "login " + std::to_string(login) + ": its pending order was placed " +
                    std::to_string(orders) + " times");
        }
    }

    void check_repeat(const Repeat& repeat) {
        add(Wrong::Doubled, signal_of(repeat.comment),
            "login " + std::to_string(repeat.login) + ", intent " + std::to_string(repeat.intent) +
                ": sent twice, again as number " + std::to_string(repeat.seq) +
                "; only the terminal's journal kept it from being executed");
    }

    const Case& case_;
    Verdict verdict_;
    Standing standing_;
    std::map<std::string, SignalId> by_comment_;
    std::set<SignalId> ended_lost_;
    std::set<SignalId> acked_;
};

}  // namespace

const char* to_string(Wrong wrong) noexcept {
    switch (wrong) {
        case Wrong::Lost: return "lost";
        case Wrong::Doubled: return "doubled";
        case Wrong::Unfilled: return "unfilled";
        case Wrong::Expired: return "expired";
        case Wrong::Unknown: return "unknown";
        case Wrong::Refusal: return "refusal";
    }
    return "?";
}

std::uint64_t Verdict::count(Wrong wrong) const noexcept {
    return static_cast<std::uint64_t>(std::count_if(
        problems.begin(), problems.end(), [wrong](const Problem& p) { return p.wrong == wrong; }));
}

Verdict judge(const Case& evidence) {
    return Judge{evidence}.run();
}

}  // namespace millrace::demo
