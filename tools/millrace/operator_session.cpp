#include "tools/millrace/operator_session.h"

#include <cstdio>

#include "tools/millrace/admin_client.h"
#include "tools/millrace/stages.h"

namespace millrace {

int complain(const std::string& text) {
    std::fprintf(stderr, "millrace: %s\n", text.c_str());
    return kExitError;
}

int complain(const std::vector<Mistake>& mistakes) {
    for (const Mistake& m : mistakes) {
        complain(to_string(m));
    }
    return kExitBadConfig;
}

Result<OperatorSession> open_session(const Target& target, std::string& message) {
    auto segment = attach_target(target, message);
    if (!segment) {
        return segment.error();
    }
    auto ids = IdBook::load(segment.value().header().journal_dir, message);
    if (!ids) {
        return ids.error();
    }
    return OperatorSession{std::move(segment).value(), std::move(ids).value()};
}

std::string unknown_name(const IdBook& ids, NameKind kind, const char* what,
                         const std::string& name) {
    std::string text = std::string{"no "} + what + " is called \"" + name + "\"; known:";
    for (const auto& [known, id] : ids.names(kind)) {
        text += " " + known;
    }
    return text;
}

void tell_if_not_durable(const Segment& segment, Sequence seq) {
    if (const std::string why = not_durable(segment, seq); !why.empty()) {
        std::printf("applied, not yet durable: %s\n", why.c_str());
    }
}

std::string account_now(const Segment& segment, std::uint32_t account) {
    if (account >= segment.sessions()) {
        return "not in the running pipeline yet";
    }
    const SessionEntry& e = segment.session(AccountId{account});
    // Relaxed: for a person.
    const auto load = [](const auto& cell) { return cell.load(std::memory_order_relaxed); };
    return "now " + std::string{to_string(static_cast<AccountState>(load(e.account_state)))} +
           ", link " + std::string{to_string(static_cast<LinkState>(load(e.link)))} + ", " +
           std::to_string(load(e.live_orders)) + " live orders";
}

namespace {

void say_for_each(const OperatorSession& s, NameKind kind, const std::vector<std::string>& names,
                  const char* word) {
    for (const std::string& name : names) {
        const std::uint32_t id = s.ids.find(kind, name);
        std::printf(
            "%s: would be %s%s\n", name.c_str(), word,
            kind == NameKind::Account ? (" (" + account_now(s.segment, id) + ")").c_str() : "");
    }
    std::printf("nothing was changed\n");
}

}  // namespace

int send_for_each(const Target& target, NameKind kind, const char* what,
                  const std::vector<std::string>& names, const char* word,
                  const std::function<AdminRecord(std::uint32_t)>& record) {
    std::string message;
    auto session = open_session(target, message);
    if (!session) {
        return complain(message);
    }
    const IdBook& ids = session.value().ids;
    for (const std::string& name : names) {
        if (ids.find(kind, name) == kNoId) {
            return complain(unknown_name(ids, kind, what, name));
        }
    }
    if (target.dry_run) {
        say_for_each(session.value(), kind, names, word);
        return kExitOk;
    }
    Sequence applied;
    int exit_code = kExitOk;
    {
        auto client = AdminClient::open(session.value().segment, message);
        if (!client) {
            return complain(message);
        }
        for (const std::string& name : names) {
            if (!client.value().send(record(ids.find(kind, name)), message)) {
                exit_code = complain(message.insert(0, name + ": "));
                break;
            }
            applied = client.value().applied_at();
            std::printf("%s: %s\n", name.c_str(), word);
        }
    }
    std::fflush(stdout);
    tell_if_not_durable(session.value().segment, applied);
    return exit_code;
}

}  // namespace millrace
