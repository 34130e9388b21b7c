#include "tools/explain/audit.h"

#include <fmt/core.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "shm/segment.h"
#include "tools/explain/reason.h"
#include "tools/explain/state.h"
#include "tools/explain/words.h"
#include "tools/inspect/describe.h"

namespace millrace::explain {
namespace {

class Auditor {
public:
    Auditor(const Where& where, const AuditOptions& options,
            const std::function<void(const AuditEntry&)>& take)
        : where_{where}, options_{options}, take_{take} {}

    bool record(const JournalRecord& r) {
        // Again at a Start: an upgrade may have come, and this build knows its own logic only.
        if (!begun_ || (state_ == nullptr && r.type == InputType::Start)) {
            begun_ = true;
            std::string none;  // without it the entries come all the same, without answers
            state_ = LogState::begin(where_.dir, Sequence{r.seq.value - 1}, r.seq, where_.capacity,
                                     none);
            if (state_ == nullptr) {
                state_ = LogState::begin_at_oldest(where_.dir);
            }
        }
        const bool living = where_.segment != nullptr;
        // One that halted may have died of the record behind the last that it came through.
        const Sequence through =
            living ? Sequence{where_.segment->core().completed.load(std::memory_order_acquire)}
                   : where_.through;
        const bool beyond = r.seq > through;
        if (state_ != nullptr && (beyond || !state_->apply(r))) {
            state_.reset();
        }
        switch (r.type) {
            case InputType::Admin: admin(r); break;
            case InputType::Start: start(r); break;
            case InputType::Skip: tell({r, cause_text(r, where_.book), {}, 0, false}); break;
            default: break;
        }
        return true;
    }

private:
    void admin(const JournalRecord& r) {
        const auto a = r.as<AdminRecord>();
        // A snapshot may be ahead of this record: it says nothing about it.
        const bool known = state_ != nullptr && state_->engine().seq() == r.seq;
        AuditEntry entry{r, admin_text(a, where_.book), {}, 0, known};
        if (known) {
            const AdminAnswer answer = state_->engine().globals().admin_answer;
            entry.answer = answer == AdminAnswer::Ok ? "" : std::string{to_string(answer)};
        }
        if (is_definition(a.op) && !options_.definitions && entry.answer.empty()) {
            ++folded_;
            return;
        }
        if (a.op == AdminOp::ConfigCommit) {
            entry.folded = folded_;
            const std::string who = who_text(actor_of(a));
            entry.what = fmt::format("configuration of {} records{}", folded_,
                                     who.empty() ? "" : ", by " + who);
        }
        if (!is_definition(a.op)) {
            tell_folded(r, a.op == AdminOp::ConfigCommit);
        }
        tell(entry);
    }

    /// Definitions that no commit ended: one account or group that was added.
    void tell_folded(const JournalRecord& r, bool ended) {
        if (folded_ > 0 && !ended) {
            tell({r, fmt::format("{} definitions before it", folded_), {}, folded_, false});
        }
        folded_ = 0;
    }

    void start(const JournalRecord& r) {
        const auto s = r.as<StartInput>();
        AuditEntry entry{r, cause_text(r, where_.book), {}, 0, false};
        if (logic_ != 0 && logic_ != s.logic_version) {
            entry.what +=
                fmt::format("; UPGRADE from logic version {} to {}", logic_, s.logic_version);
        }
        logic_ = s.logic_version;
        tell(entry);
    }

    void tell(const AuditEntry& entry) {
        const Nanos time = entry.record.time;
        const bool wanted =
            time >= options_.since && (options_.until.value == 0 || time < options_.until);
        if (wanted) {
            take_(entry);
        }
    }

    const Where& where_;
    const AuditOptions& options_;
    const std::function<void(const AuditEntry&)>& take_;
    std::unique_ptr<LogState> state_;
    bool begun_ = false;
    std::uint32_t folded_ = 0;
    std::uint32_t logic_ = 0;
};

}  // namespace

Scanned audit(const Where& where, const AuditOptions& options,
              const std::function<void(const AuditEntry&)>& take) {
    Auditor auditor{where, options, take};
    return scan_journal(where.dir, where.segment.get(),
                        [&auditor](const JournalRecord& r) { return auditor.record(r); });
}

std::string audit_text(const AuditEntry& e) {
    std::string text =
        fmt::format("{:>8}  {}  {}", e.record.seq.value, moment_text(e.record.time), e.what);
    for (char& c : text) {
        const auto byte = static_cast<unsigned char>(c);
        c = byte < 0x20 || byte == 0x7F ? '?' : c;
    }
    return text + (e.answer.empty() ? "" : "; REFUSED: " + e.answer) + "\n";
}

std::string audit_json(const AuditEntry& e) {
    using nlohmann::ordered_json;
    const Actor who =
        e.record.type == InputType::Admin ? actor_of(e.record.as<AdminRecord>()) : Actor{};
    const ordered_json j{
        {"seq", e.record.seq.value},
        {"time_ns", e.record.time.value},
        {"what", e.what},
        {"uid", who.known() ? ordered_json(who.uid) : ordered_json(nullptr)},
        {"user", who.known() ? ordered_json(std::string{view(who.user)}) : ordered_json(nullptr)},
        {"host", who.known() ? ordered_json(std::string{view(who.host)}) : ordered_json(nullptr)},
        {"taken", e.answer_known ? ordered_json(e.answer.empty()) : ordered_json(nullptr)},
        {"refused", e.answer},
        {"folded", e.folded},
        {"record", inspect::describe(e.record, inspect::Names{})}};
    return j.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace millrace::explain
