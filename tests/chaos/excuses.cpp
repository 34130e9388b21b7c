#include "tests/chaos/excuses.h"

#include <map>

namespace millrace::chaos {
namespace {

/// Out of time, a session that was down, a journal that was, full queues, stale or moved prices,
/// the operator's kill, the broker's own no.
bool is_excuse(Reason reason) noexcept {
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

/// Of a log that was lost: the directory that follows it knows of no signal of before.
bool is_excuse_of_signal(Reason reason) noexcept {
    return is_excuse(reason) || reason == Reason::StaleSignal;
}

}  // namespace

std::vector<std::string> without_excuse(const demo::Lives& lives) {
    std::map<std::string, std::uint64_t> ends;
    for (const auto& [id, life] : lives.all()) {
        if (life.purpose != demo::Purpose::Trade || life.request.action != SignalAction::Open) {
            continue;
        }
        if (life.answer == demo::Answer::Refused && !is_excuse_of_signal(life.reason)) {
            ++ends["refused: " + std::string{to_string(life.reason)}];
        }
        for (const auto& [account, share] : life.shares) {
            if (share.done && share.cum_volume.value == 0 && !is_excuse(share.reason)) {
                ++ends[std::string{to_string(share.status)} + ": " +
                       std::string{to_string(share.reason)}];
            }
        }
    }
    std::vector<std::string> sentences;
    for (const auto& [end, count] : ends) {
        sentences.push_back(std::to_string(count) + " openings came to nothing, " + end);
    }
    return sentences;
}

}  // namespace millrace::chaos
