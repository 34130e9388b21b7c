#include "tools/simbroker/faults.h"

#include <array>
#include <utility>

namespace millrace::sim {
namespace {

constexpr std::array<std::pair<FaultKind, std::string_view>, 14> kNames{{
    {FaultKind::Retcode, "retcode"},
    {FaultKind::Latency, "latency"},
    {FaultKind::PartialFill, "partial_fill"},
    {FaultKind::DisconnectBefore, "disconnect_before"},
    {FaultKind::DisconnectAfter, "disconnect_after"},
    {FaultKind::DropRxAck, "drop_rx_ack"},
    {FaultKind::DropEvent, "drop_event"},
    {FaultKind::DuplicateEvent, "duplicate_event"},
    {FaultKind::DuplicateCommand, "duplicate_command"},
    {FaultKind::NoIntentJournal, "no_intent_journal"},
    {FaultKind::CrashOnReceive, "crash_on_receive"},
    {FaultKind::CrashBeforeBooks, "crash_before_books"},
    {FaultKind::CrashAfterBooks, "crash_after_books"},
    {FaultKind::CrashAfterAnswer, "crash_after_answer"},
}};

}  // namespace

std::optional<FaultKind> fault_kind(std::string_view name) noexcept {
    for (const auto& [kind, text] : kNames) {
        if (text == name) {
            return kind;
        }
    }
    return std::nullopt;
}

std::string_view to_string(FaultKind kind) noexcept {
    for (const auto& [known, text] : kNames) {
        if (known == kind) {
            return text;
        }
    }
    return "unknown";
}

std::optional<Fault> Faults::strike(FaultKind kind, std::uint64_t login,
                                    std::optional<CommandType> command) {
    for (auto it = faults_.begin(); it != faults_.end(); ++it) {
        const bool fits = it->kind == kind && (it->login == 0 || it->login == login) &&
                          (!it->command || !command || it->command == command);
        if (!fits) {
            continue;
        }
        if (it->count > 0) {
            const Fault struck = *it;
            if (--it->count == 0) {
                faults_.erase(it);
            }
            return count(struck);
        }
        if (random_.chance_ppm(it->probability_ppm)) {
            return count(*it);
        }
    }
    return std::nullopt;
}

Fault Faults::count(const Fault& fault) {
    ++struck_[fault.name.empty() ? std::string{to_string(fault.kind)} : fault.name];
    return fault;
}

}  // namespace millrace::sim
