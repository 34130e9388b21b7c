#include "tools/millrace/operator.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <set>

#include "tools/millrace/admin_client.h"
#include "tools/millrace/config.h"
#include "tools/millrace/decimal.h"
#include "tools/millrace/kill_client.h"
#include "tools/millrace/operator_session.h"
#include "tools/millrace/segment_ids.h"
#include "tools/millrace/stages.h"

namespace millrace {
namespace {

/// One part of a kill: what the engine is told, and what the broker stage can be told.
struct KillPart {
    KillScope scope;
    std::uint32_t id;
    std::string symbol;
};

std::uint8_t actions_of(const KillRequest& r) {
    if (r.clear) {
        return 0;
    }
    return static_cast<std::uint8_t>(kKillStop | (r.cancel ? kKillCancel : 0) |
                                     (r.flatten ? kKillFlatten : 0));
}

KillCommand command_of(const KillPart& part, std::uint8_t actions, std::uint64_t kill_id) {
    KillCommand k;
    k.kill_id = kill_id;
    k.scope = part.scope;
    k.actions = actions;
    k.scope_id = part.id;
    k.symbol = make_text<16>(part.symbol);
    return k;
}

/// The pipeline, and its names: without ids.json by what the pipeline says itself.
Result<OperatorSession> open_for_kill(const Target& target, Doubt doubt, bool& lost,
                                      std::string& message) {
    auto segment = attach_target(target, message, doubt);
    if (!segment) {
        return segment.error();
    }
    const std::string dir = segment.value().header().journal_dir;
    auto ids = IdBook::load(dir, message);
    lost = !ids;
    if (!lost) {
        return OperatorSession{std::move(segment).value(), std::move(ids).value()};
    }
    complain(message + "; going on by what the running pipeline says of its names");
    std::vector<Mistake> mistakes;  // whatever can be read helps
    const std::string checked = checked_config_path(dir);
    Config config =
        read_config(target.config.empty() ? checked : target.config, mistakes, nullptr, checked);
    for (AccountConfig& added : read_added_accounts(dir, mistakes)) {
        config.accounts.push_back(std::move(added));
    }
    IdBook found = ids_of_segment(segment.value(), config);
    return OperatorSession{std::move(segment).value(), std::move(found)};
}

/// What the request names. The names are checked before anything is sent.
Result<KillPart> part_of(const IdBook& ids, const KillRequest& r, std::string& message) {
    const struct {
        const std::string& name;
        NameKind kind;
        KillScope scope;
        const char* what;
    } scopes[] = {{r.account, NameKind::Account, KillScope::Account, "account"},
                  {r.group, NameKind::Group, KillScope::Group, "group"},
                  {r.symbol, NameKind::Symbol, KillScope::Symbol, "symbol"},
                  {r.source, NameKind::Source, KillScope::Source, "source"}};
    for (const auto& s : scopes) {
        if (s.name.empty()) {
            continue;
        }
        const std::uint32_t id = ids.find(s.kind, s.name);
        if (id == kNoId) {
            message = unknown_name(ids, s.kind, s.what, s.name);
            return {Errc::NotFound, "kill"};
        }
        return KillPart{s.scope, id, s.scope == KillScope::Symbol ? s.name : ""};
    }
    return KillPart{KillScope::All, kNoId, ""};
}

/// The broker stage knows accounts and symbols: a group is told as its accounts.
std::vector<KillPart> broker_parts(const IdBook& ids, const KillPart& part) {
    if (part.scope == KillScope::Source) {
        return {};  // only the engine knows what came from whom
    }
    if (part.scope != KillScope::Group) {
        return {part};
    }
    std::vector<KillPart> parts;
    for (const auto& [group, account] : ids.members()) {
        if (group == part.id) {
            parts.push_back({KillScope::Account, account, ""});
        }
    }
    return parts;
}

/// First, past every gate, and never behind a command that waits for the engine.
bool tell_broker(const OperatorSession& s, const KillPart& part, std::uint8_t actions,
                 std::uint64_t& kill_id) {
    const auto parts = broker_parts(s.ids, part);
    if (parts.empty()) {
        return true;  // nothing that a terminal could be told
    }
    std::string message;
    auto client = KillClient::open(s.segment, message);
    bool told = client.ok();
    for (std::size_t i = 0; i < parts.size() && told; ++i) {
        told = client.value().send(command_of(parts[i], actions, kill_id++), message).ok();
    }
    if (!told) {
        complain(message);
        return false;
    }
    std::printf("broker stage told\n");
    std::fflush(stdout);  // before any wait
    return true;
}

/// The broker stage was told of a kill, up to `kill_id` - 1: once more if another command has
/// spoken to it since. @return false if what it believes may be another command's word.
bool has_last_word(const OperatorSession& s, const KillPart& part, std::uint8_t actions,
                   std::uint64_t& kill_id) {
    if (broker_parts(s.ids, part).empty()) {
        return true;  // it was told nothing
    }
    {
        std::string message;
        const auto client = KillClient::open(s.segment, message);
        if (!client) {
            complain("cannot see whether another command has spoken to the broker stage since: " +
                     message);
            return false;
        }
        if (client.value().last_kill() == kill_id - 1) {
            return true;
        }
    }
    complain("another command has spoken to the broker stage since: it is told again");
    return tell_broker(s, part, actions, kill_id);
}

/// A kill is told to the broker stage first, and waits for nobody. The last word on both sides has
/// the command that holds the engine's role last: a clear speaks under it only, and a kill that one
/// came between says it again. Else each side might believe another one. A kill that cannot have
/// the role says it again too: its operator was told that the terminals have it.
int send_kill(OperatorSession& s, const KillPart& part, const KillRequest& request) {
    auto kill_id = static_cast<std::uint64_t>(wall_ns());
    bool broker_told = !request.clear && tell_broker(s, part, actions_of(request), kill_id);
    std::string message;
    Sequence applied;
    {
        // A kill, and the end of one, wait for no directory of users.
        auto client = AdminClient::open(s.segment, message, false);
        if (!client) {
            if (broker_told) {
                (void)has_last_word(s, part, actions_of(request), kill_id);
            }
            return complain((request.clear ? "nobody is told: " : "the engine is not told yet: ") +
                            message);
        }
        broker_told = request.clear
                          ? tell_broker(s, part, actions_of(request), kill_id)
                          : broker_told && has_last_word(s, part, actions_of(request), kill_id);
        const KillCommand command = command_of(part, actions_of(request), kill_id);
        const AdminOp op = request.clear ? AdminOp::ClearKill : AdminOp::Kill;
        if (!client.value().send(AdminRecord::make(op, command), message)) {
            return complain(message);
        }
        applied = client.value().applied_at();
    }
    const std::string pending = not_durable(s.segment, applied);
    std::printf("engine told, %s%s\n",
                pending.empty() ? "journalled" : "applied, not yet durable: ", pending.c_str());
    return broker_told ? kExitOk : kExitError;
}

/// What is asked of the accounts that a part is about.
std::string asked_of(const KillRequest& r) {
    if (r.clear) {
        return "would let trade again";
    }
    return std::string{"would take no new entries from now on"} +
           (r.cancel ? ", cancel our pending orders" : "") +
           (r.flatten ? ", close our positions" : "");
}

/// A dry run: to whom it would be said. Nobody is told anything.
int say_kill(const OperatorSession& s, const KillPart& part, const KillRequest& request) {
    const auto concerned = broker_parts(s.ids, part);
    const auto is_concerned = [&](std::uint32_t id) {
        return part.scope != KillScope::Group && part.scope != KillScope::Account
                   ? true
                   : std::any_of(concerned.begin(), concerned.end(),
                                 [id](const KillPart& p) { return p.id == id; });
    };
    std::printf("%s%s:\n", asked_of(request).c_str(),
                !request.source.empty()   ? (" of source " + request.source).c_str()
                : !request.symbol.empty() ? (" in " + request.symbol).c_str()
                                          : "");
    for (const auto& [name, id] : s.ids.names(NameKind::Account)) {
        if (is_concerned(id)) {
            std::printf("  %-16s %s\n", name.c_str(), account_now(s.segment, id).c_str());
        }
    }
    std::printf("nobody was told anything\n");
    return kExitOk;
}

bool parse_filled(const std::string& text, ResolveCommand& r, std::string& message) {
    const std::size_t at = text.find('@');
    const auto volume = parse_decimal(text.substr(0, at));
    const auto price = parse_decimal(at == std::string::npos ? "" : text.substr(at + 1));
    if (!volume || !price || volume.value() <= 0 || price.value() <= 0) {
        message = "--filled \"" + text + "\": VOLUME@PRICE is needed, such as 0.10@1.08542";
        return false;
    }
    r.volume = Lots{volume.value()};
    r.price = Price{price.value()};
    return true;
}

const char* state_word(AccountState s) {
    switch (s) {
        case AccountState::Trading: return "resumed";
        case AccountState::ReduceOnly: return "reduce-only";
        case AccountState::Inactive: return "paused";
        case AccountState::Disabled: return "disabled";
        default: return "set";
    }
}

}  // namespace

int set_accounts(const Target& target, AccountState state, const std::vector<std::string>& names) {
    return send_for_each(target, NameKind::Account, "account", names, state_word(state),
                         [state](std::uint32_t id) {
                             AccountCommand command;
                             command.account = AccountId{id};
                             command.state = state;
                             return AdminRecord::make(AdminOp::SetAccount, command);
                         });
}

int list_accounts(const Target& target) {
    std::string message;
    auto session = open_session(target, message);
    if (!session) {
        return complain(message);
    }
    const Segment& segment = session.value().segment;
    std::printf("%-16s %5s %14s %-14s %-14s %10s %8s\n", "account", "id", "login", "state", "link",
                "fills", "live");
    for (const auto& [name, id] : session.value().ids.names(NameKind::Account)) {
        if (id >= segment.sessions()) {
            continue;
        }
        const SessionEntry& e = segment.session(AccountId{id});
        const auto load = [](const auto& cell) { return cell.load(std::memory_order_relaxed); };
        const std::string state{to_string(static_cast<AccountState>(load(e.account_state)))};
        const std::string link{to_string(static_cast<LinkState>(load(e.link)))};
        std::printf("%-16s %5u %14lu %-14s %-14s %10lu %8lu\n", name.c_str(), id,
                    static_cast<unsigned long>(load(e.login)), state.c_str(), link.c_str(),
                    static_cast<unsigned long>(load(e.fills)),
                    static_cast<unsigned long>(load(e.live_orders)));
    }
    return kExitOk;
}

int kill_switch(const Target& target, const KillRequest& request) {
    const int named = !request.account.empty() + !request.group.empty() + !request.symbol.empty() +
                      !request.source.empty() + (request.all ? 1 : 0);
    if (named != 1) {
        return complain("say exactly one of --all, --account, --group, --symbol, --source");
    }
    if (!request.source.empty() && (request.cancel || request.flatten)) {
        return complain(
            "--source stops new entries of that source and nothing else: a terminal does not know "
            "whose signal an order came from. Leave --cancel and --flatten away, or name "
            "--account, --group, --symbol or --all");
    }
    std::string message;
    bool ids_lost = false;
    const Doubt doubt = request.clear ? Doubt::Refuse : Doubt::TakeTheOnlyOne;
    auto session = open_for_kill(target, doubt, ids_lost, message);
    if (!session) {
        return complain(message);
    }
    if (ids_lost && !request.group.empty()) {
        return complain("who is in a group nobody knows without ids.json; say --account or --all");
    }
    const auto part = part_of(session.value().ids, request, message);
    if (!part) {
        return complain(message);
    }
    return target.dry_run ? say_kill(session.value(), part.value(), request)
                          : send_kill(session.value(), part.value(), request);
}

int resolve_order(const Target& target, const ResolveRequest& request) {
    const auto& [magic, filled, rejected, account] = request;
    ResolveCommand r;
    const char* end = magic.data() + magic.size();
    if (std::from_chars(magic.data(), end, r.magic.value).ptr != end || magic.empty()) {
        return complain("\"" + magic + "\" is no magic number; `millrace inspect` shows them");
    }
    if (filled.empty() != rejected) {
        return complain("say either --filled VOLUME@PRICE or --rejected");
    }
    std::string message;
    if (!filled.empty() && !parse_filled(filled, r, message)) {
        return complain(message);
    }
    r.status = rejected ? OrdStatus::Rejected : OrdStatus::Filled;
    auto session = open_session(target, message);
    if (!session) {
        return complain(message);
    }
    if (!account.empty()) {
        const std::uint32_t id = session.value().ids.find(NameKind::Account, account);
        if (id == kNoId) {
            return complain("no account \"" + account + "\"; `millrace account list` names them");
        }
        r.executor_of = id + 1;
    }
    if (target.dry_run) {
        std::printf("order %s: would end as %s%s, if it is in doubt; nothing was changed\n",
                    magic.c_str(), rejected ? "rejected" : "filled ", filled.c_str());
        return kExitOk;
    }
    Sequence applied;
    {
        auto client = AdminClient::open(session.value().segment, message);
        if (!client || !client.value().send(AdminRecord::make(AdminOp::Resolve, r), message)) {
            return complain(message);
        }
        applied = client.value().applied_at();
    }
    std::printf("order %s: %s%s\n", magic.c_str(), rejected ? "rejected" : "filled",
                account.empty() ? "" : "; its executor is told, and its log says what came of it");
    tell_if_not_durable(session.value().segment, applied);
    return kExitOk;
}

}  // namespace millrace
