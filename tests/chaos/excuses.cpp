#include "tests/chaos/excuses.h"

#include <algorithm>
#include <map>

namespace millrace::chaos {
namespace {

/// Out of time, a session that was down, a journal that was, full queues, stale or moved prices,
/// the operator's kill, the broker's own no.
bool excuses_opening(Reason reason) noexcept {
    switch (reason) {
        case Reason::Expired:
        case Reason::AccountNotTrading:
        case Reason::QueueFull:
        case Reason::JournalDown:
        case Reason::NoPrice:
        case Reason::PriceCollar:
        case Reason::Killed:
        case Reason::BrokerReject:
        case Reason::RetriesExhausted:
        case Reason::CanceledByUser: return true;
        default: return false;
    }
}

/// Out of time, nothing there (any more), the operator's kill, the broker's own no.
bool excuses_exit(Reason reason) noexcept {
    switch (reason) {
        case Reason::Expired:
        case Reason::NothingToDo:
        case Reason::Killed:
        case Reason::BrokerReject:
        case Reason::RetriesExhausted:
        case Reason::CanceledByUser: return true;
        default: return false;
    }
}

class Excuses {
public:
    Excuses(const demo::Lives& lives, const std::set<Reason>& of_exits)
        : lives_{lives}, of_exits_{of_exits} {}

    [[nodiscard]] bool has_share(const demo::Life& life, const demo::Share& share) const {
        if (share.status == OrdStatus::Filled || share.cum_volume.value > 0) {
            return true;
        }
        return life.request.action == SignalAction::Open
                   ? excuses_opening(share.reason)
                   : excuses_exit(share.reason) || of_exits_.contains(share.reason);
    }

    [[nodiscard]] bool has_refusal(const demo::Life& life) const {
        // Of a log that was lost: the directory that follows it knows of no signal of before.
        if (life.reason == Reason::StaleSignal) {
            return true;
        }
        switch (life.request.action) {
            case SignalAction::Open: return excuses_opening(life.reason);
            // Changes nothing that is urgent: it waits for the journal as an opening does.
            case SignalAction::Modify:
                return excuses_opening(life.reason) || has_refused_exit(life);
            default: return has_refused_exit(life);
        }
    }

private:
    [[nodiscard]] bool has_refused_exit(const demo::Life& life) const {
        if (life.reason == Reason::UnknownTarget) {
            const demo::Life* target = lives_.find(life.request.target);
            return target == nullptr || target->answer != demo::Answer::Accepted ||
                   target->forgotten;
        }
        // A segment that is new knows no names before the engine has said them, once.
        if (life.reason == Reason::JournalDown) {
            return of_exits_.contains(life.reason) ||
                   life.text.starts_with("the engine has not taken its configuration yet");
        }
        return life.reason == Reason::Expired || of_exits_.contains(life.reason);
    }

    const demo::Lives& lives_;
    const std::set<Reason>& of_exits_;
};

const char* what(SignalAction action) noexcept {
    switch (action) {
        case SignalAction::Open: return "openings";
        case SignalAction::Close: return "closes";
        case SignalAction::Modify: return "modifies";
        case SignalAction::Cancel: return "cancels";
    }
    return "?";
}

}  // namespace

std::vector<std::string> without_excuse(const demo::Lives& lives,
                                        const std::set<Reason>& of_exits) {
    const Excuses excuses{lives, of_exits};
    std::map<std::string, std::uint64_t> ends;
    for (const auto& [id, life] : lives.all()) {
        if (life.purpose != demo::Purpose::Trade) {
            continue;
        }
        const std::string came = std::string{what(life.request.action)} + " came to nothing, ";
        if (life.answer == demo::Answer::Refused && !excuses.has_refusal(life)) {
            ++ends[came + "refused: " + std::string{to_string(life.reason)} + " " + life.text];
        }
        for (const auto& [account, share] : life.shares) {
            if (share.done && !excuses.has_share(life, share)) {
                ++ends[came + std::string{to_string(share.status)} + ": " +
                       std::string{to_string(share.reason)}];
            }
        }
    }
    std::vector<std::string> sentences;
    for (const auto& [end, count] : ends) {
        sentences.push_back(std::to_string(count) + " " + end);
    }
    return sentences;
}

std::uint64_t exits_ended_outside(const demo::Lives& lives, Reason reason,
                                  const std::vector<HeldUp>& times) {
    std::uint64_t count = 0;
    const auto look = [&](const demo::Life& life, Reason why, Nanos ended) {
        const bool touched = std::any_of(times.begin(), times.end(), [&](const HeldUp& t) {
            return life.sent <= t.end && ended >= t.begin;
        });
        count += why == reason && !touched ? 1 : 0;
    };
    for (const auto& [id, life] : lives.all()) {
        if (life.request.action == SignalAction::Open || life.purpose != demo::Purpose::Trade) {
            continue;
        }
        if (life.answer == demo::Answer::Refused) {
            look(life, life.reason, life.ended);
        }
        for (const auto& [account, share] : life.shares) {
            if (share.done) {
                look(life, share.reason, share.ended);
            }
        }
    }
    return count;
}

}  // namespace millrace::chaos
