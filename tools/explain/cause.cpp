// Records of the journal in a few words.
#include <fmt/core.h>

#include "shm/segment.h"
#include "tools/explain/reason.h"
#include "tools/explain/words.h"

namespace millrace::explain {
namespace {

const char* report_word(ReportType type) {
    static constexpr const char* kWords[] = {"?",
                                             "OUTCOME",
                                             "EXEC",
                                             "UNSENT",
                                             "QUERY_FOUND",
                                             "QUERY_ABSENT",
                                             "QUERY_UNKNOWN",
                                             "SESSION_UP",
                                             "SESSION_DOWN",
                                             "ACCOUNT_INFO",
                                             "KILL_APPLIED",
                                             "SYNC_DONE"};
    const auto i = static_cast<std::size_t>(type);
    return i < std::size(kWords) ? kWords[i] : "?";
}

const char* exec_words(ExecKind kind) {
    switch (kind) {
        case ExecKind::None: return "a deal";
        case ExecKind::PendingFilled: return "the pending order was filled";
        case ExecKind::PendingCanceled: return "the pending order was taken away at the broker";
        case ExecKind::ClosedByStopLoss: return "closed by stop loss";
        case ExecKind::ClosedByTakeProfit: return "closed by take profit";
        case ExecKind::ClosedByStopOut: return "closed by stop-out";
        case ExecKind::ClosedManually: return "closed by hand or by another program";
        case ExecKind::ClosedByKill: return "closed by the kill switch";
        case ExecKind::Foreign: return "a deal that is not ours";
    }
    return "?";
}

std::string tickets_text(const Report& r) {
    std::string text;
    const auto add = [&text](const char* what, std::uint64_t n) {
        if (n != 0) {
            text += fmt::format(", {} {}", what, n);
        }
    };
    add("order", r.order_ticket);
    add("deal", r.deal_ticket);
    add("position", r.position_id);
    return text;
}

std::string report_text(const Report& r, const OrderRow* about) {
    std::string text = fmt::format("report {}", report_word(r.type));
    const RetcodeClass cls = about == nullptr ? classify(r.retcode) : class_of(r.retcode, *about);
    const std::string code = r.retcode == 0 ? "" : " " + retcode_text(r.retcode, cls);
    switch (r.type) {
        case ReportType::Outcome: text += code; break;
        case ReportType::Exec: text += fmt::format(": {}", exec_words(r.exec_kind)); break;
        case ReportType::Unsent:
            text += fmt::format(": it never reached the broker ({})",
                                r.reason == 0 ? "a frame of an older session"
                                              : to_string(static_cast<Reason>(r.reason)));
            break;
        case ReportType::QueryFound:
            text += fmt::format(
                ": the look-up found it {}{}", to_string(static_cast<OrdStatus>(r.ord_status)),
                r.ord_status == static_cast<std::uint8_t>(OrdStatus::Rejected) ? "," + code : "");
            break;
        case ReportType::QueryAbsent:
            text += ": proof that the executor never received it (its journal is whole)";
            break;
        case ReportType::QueryUnknown: text += ": the look-up proved nothing"; break;
        case ReportType::SessionUp:
        case ReportType::SessionDown:
        case ReportType::SyncDone: text += fmt::format(", session {}", r.session_generation); break;
        default: break;
    }
    text += tickets_text(r);
    if (r.volume.value > 0) {
        text += fmt::format(": {} at {}", number(r.volume.value), number(r.price.value));
    }
    return text;
}

std::string kill_text(const KillCommand& k, const Book& book) {
    std::string text;
    switch (k.scope) {
        case KillScope::All: text = "all"; break;
        case KillScope::Group: text = "group " + book.group(GroupId{k.scope_id}); break;
        case KillScope::Account: text = "account " + book.account(AccountId{k.scope_id}); break;
        case KillScope::Symbol: text = "symbol " + book.symbol(SymbolId{k.scope_id}); break;
        case KillScope::Source: text = "source " + book.source(SourceId{k.scope_id}); break;
    }
    text += (k.actions & kKillCancel) != 0 ? " cancel" : "";
    text += (k.actions & kKillFlatten) != 0 ? " flatten" : "";
    return text;
}

std::string filled_text(const ResolveCommand& r) {
    std::string text = fmt::format("{} as {}", r.magic.value, to_string(r.status));
    return r.volume.value == 0
               ? text
               : text + fmt::format(" {} at {}", number(r.volume.value), number(r.price.value));
}

std::string command_text(const AdminRecord& r, const Book& book) {
    switch (r.op) {
        case AdminOp::DefineSymbol:
            return "define symbol " + std::string{view(r.as<SymbolSpec>().name)};
        case AdminOp::DefineSource:
            return "define source " + std::string{view(r.as<SourceSpec>().name)};
        case AdminOp::DefineGroup:
            return "define group " + std::string{view(r.as<GroupSpec>().name)};
        case AdminOp::DefineAccount:
            return fmt::format("define account {}, login {}", view(r.as<AccountSpec>().name),
                               r.as<AccountSpec>().login);
        case AdminOp::DefineMember:
            return fmt::format("{} {} {} group {}",
                               r.as<MemberSpec>().enabled != 0 ? "put account" : "take account",
                               book.account(r.as<MemberSpec>().account),
                               r.as<MemberSpec>().enabled != 0 ? "into" : "out of",
                               book.group(r.as<MemberSpec>().group));
        case AdminOp::ConfigCommit: return "end of a configuration";
        case AdminOp::SetAccount:
            return fmt::format("set account {} {}", book.account(r.as<AccountCommand>().account),
                               to_string(r.as<AccountCommand>().state));
        case AdminOp::Kill: return "kill " + kill_text(r.as<KillCommand>(), book);
        case AdminOp::ClearKill: return "unkill " + kill_text(r.as<KillCommand>(), book);
        case AdminOp::Resolve: return "resolve " + filled_text(r.as<ResolveCommand>());
        case AdminOp::RiskLimits: return "set the risk settings";
        case AdminOp::SetGroup:
            return fmt::format("set group {} {}", book.group(r.as<GroupCommand>().group),
                               to_string(r.as<GroupCommand>().state));
        case AdminOp::RemoveAccount:
            return "remove account " + book.account(r.as<AccountRemoval>().account);
        case AdminOp::RemoveGroup: return "remove group " + book.group(r.as<GroupRemoval>().group);
        case AdminOp::DefineLimits: {
            const auto l = r.as<LimitSpec>();
            return l.scope == LimitScope::Group
                       ? "set the limits of group " + book.group(GroupId{l.id})
                       : "set the limits of account " + book.account(AccountId{l.id});
        }
        case AdminOp::DefineSymbolLimits:
            return "set the limits of symbol " + book.symbol(r.as<SymbolLimitSpec>().id);
        case AdminOp::DefineCurrency:
            return "set currency " + std::string{view(r.as<CurrencySpec>().name)};
        case AdminOp::DefineMoneyLimits: {
            const auto l = r.as<MoneyLimitSpec>();
            return l.scope == LimitScope::Group
                       ? "set the limits in money of group " + book.group(GroupId{l.id})
                       : "set the limits in money of account " + book.account(AccountId{l.id});
        }
        case AdminOp::DefineHours: {
            const auto h = r.as<HoursSpec>();
            return h.scope == HoursScope::Symbol
                       ? "set the hours of symbol " + book.symbol(SymbolId{h.id})
                       : "set the hours of account " + book.account(AccountId{h.id});
        }
        case AdminOp::DefineSymbolGuard:
            return "set currency and collars of symbol " + book.symbol(r.as<SymbolGuardSpec>().id);
    }
    return "a command that this build does not know";
}

}  // namespace

bool is_definition(AdminOp op) noexcept {
    switch (op) {
        case AdminOp::DefineSymbol:
        case AdminOp::DefineSource:
        case AdminOp::DefineGroup:
        case AdminOp::DefineAccount:
        case AdminOp::DefineMember:
        case AdminOp::RiskLimits:
        case AdminOp::DefineLimits:
        case AdminOp::DefineSymbolLimits:
        case AdminOp::DefineCurrency:
        case AdminOp::DefineMoneyLimits:
        case AdminOp::DefineHours:
        case AdminOp::DefineSymbolGuard: return true;
        default: return false;
    }
}

std::string admin_text(const AdminRecord& record, const Book& book) {
    const std::string who = who_text(actor_of(record));
    return command_text(record, book) + (who.empty() ? "" : ", by " + who);
}

std::string cause_text(const JournalRecord& r, const Book& book, const OrderRow* about) {
    switch (r.type) {
        case InputType::Start:
            return fmt::format("the engine began epoch {}{}", r.as<StartInput>().epoch,
                               r.as<StartInput>().new_segment != 0
                                   ? " in a new segment: what had no answer may be at a broker"
                                   : "");
        case InputType::Jump: return "numbers jumped: a segment was lost";
        case InputType::Signal: return "the signal arrived";
        case InputType::Report: return report_text(r.as<Report>(), about);
        case InputType::Admin:
            return (is_definition(r.as<AdminRecord>().op) ? "configuration: " : "operator: ") +
                   admin_text(r.as<AdminRecord>(), book);
        case InputType::Timer: return "a deadline had passed";
        case InputType::Continue: return "the handing out went on";
        case InputType::Skip: return "a record was skipped by an operator";
        case InputType::Deliver: return "its source's results ring had room";
        case InputType::Rate: return "a quote said what a currency is worth";
    }
    return "?";
}

std::string said_by(const Note& note) {
    if (note.seq.value == 0) {
        return " (as configured now)";
    }
    const std::string who = who_text(note.who);
    return fmt::format("{}, record {}, {}", who.empty() ? "" : " by " + who, note.seq.value,
                       moment_text(note.time));
}

}  // namespace millrace::explain
