// Operator commands about groups, and the removal of accounts and groups.
//
//     1. engine       refuses, or lets the name go: journalled, so a replay does the same
//     2. files        accounts.d, groups.d: the configuration that was added at run time
//     3. ids.json     the name gives its id up
//
// Killed between any two, the same command ends it: the engine says yes again, the rest is as idle.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "tools/millrace/admin_client.h"
#include "tools/millrace/config.h"
#include "tools/millrace/operator.h"
#include "tools/millrace/operator_session.h"
#include "tools/millrace/stages.h"
#include "tools/millrace/startup.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr int kFanOutTries = 50;
constexpr auto kFanOutNap = std::chrono::milliseconds{100};

/// An account or a group, as the command line speaks of it.
struct Thing {
    NameKind kind;
    const char* word;
    std::string name;
};

std::string folder_of(const std::string& dir, NameKind kind) {
    return kind == NameKind::Account ? accounts_folder(dir) : groups_folder(dir);
}

ordered_json read_json(const fs::path& path) {
    std::ifstream in{path, std::ios::binary};
    return ordered_json::parse(in, nullptr, false, true);
}

bool has_member(const ordered_json& group, const std::string& account) {
    for (const auto& m : group.value("members", ordered_json::array())) {
        if (m.value("account", "") == account) {
            return true;
        }
    }
    return false;
}

/// Where the configuration file itself speaks of `thing`; empty if nowhere. It is the operator's
/// and never written by us.
std::string place_in_file(const std::string& file, const Thing& thing) {
    const ordered_json doc = read_json(file);
    if (doc.is_discarded()) {
        return "something that is no JSON";
    }
    const char* list = thing.kind == NameKind::Account ? "accounts" : "groups";
    for (const auto& entry : doc.value(list, ordered_json::array())) {
        if (entry.value("name", "") == thing.name) {
            return std::string{"\""} + list + "\"";
        }
    }
    for (const auto& group : doc.value("groups", ordered_json::array())) {
        if (thing.kind == NameKind::Account && has_member(group, thing.name)) {
            return "\"members\" of group \"" + group.value("name", "") + "\"";
        }
    }
    return {};
}

AdminRecord removal_of(const Thing& thing, std::uint32_t id) {
    return thing.kind == NameKind::Account
               ? AdminRecord::make(AdminOp::RemoveAccount, AccountRemoval{AccountId{id}, 0})
               : AdminRecord::make(AdminOp::RemoveGroup, GroupRemoval{GroupId{id}, 0});
}

/// What stands in the way, and how to clear it.
std::string refusal(const Thing& thing, const AdminClient& client) {
    const std::string it = std::string{thing.word} + " \"" + thing.name + "\"";
    const AdminDetail d = client.detail();
    std::string text = it + " stays: " + std::string{to_string(client.answer())};
    const bool counted = d.orders > 0 || d.positions > 0;
    if (counted) {
        text += " (" + std::to_string(d.orders) + " orders, " + std::to_string(d.positions) +
                " positions)";
    }
    if (client.answer() == AdminAnswer::OrdersInDoubt) {
        return text + "; wait until its terminal has answered, or `millrace resolve` them";
    }
    if (counted) {
        return text + "; `millrace " + thing.word +
               (thing.kind == NameKind::Account ? " reduce-only " : " pause ") + thing.name +
               "`, close what is open (`millrace kill --" + thing.word + " " + thing.name +
               " --cancel --flatten` does), then remove it";
    }
    return text + "; try again";
}

/// Step 1. A fan-out under way is soon over and is waited for.
bool engine_lets_go(AdminClient& client, const Thing& thing, std::uint32_t id,
                    std::string& message) {
    for (int i = 0; i < kFanOutTries; ++i) {
        if (client.send(removal_of(thing, id), message)) {
            return true;
        }
        if (client.answer() != AdminAnswer::FanOutRuns) {
            break;
        }
        std::this_thread::sleep_for(kFanOutNap);
    }
    // A book older than the journal names accounts that no engine ever heard of: nothing to lose.
    if (client.answer() == AdminAnswer::UnknownAccount ||
        client.answer() == AdminAnswer::UnknownGroup) {
        return true;
    }
    if (client.answer() != AdminAnswer::Ok) {
        message = refusal(thing, client);
    }
    return false;
}

/// Takes `account` out of the groups that were added at run time.
bool forget_member(const std::string& dir, const std::string& account, std::string& message) {
    std::error_code none;
    for (const auto& entry : fs::directory_iterator{groups_folder(dir), none}) {
        ordered_json group = read_json(entry.path());
        if (group.is_discarded() || !has_member(group, account)) {
            continue;
        }
        auto& members = group["members"];
        for (auto m = members.begin(); m != members.end();) {
            m = m->value("account", "") == account ? members.erase(m) : m + 1;
        }
        if (!replace_file(entry.path().string(), group.dump(2) + "\n", 0600, message)) {
            return false;
        }
    }
    return true;
}

/// Steps 2 and 3.
bool forget(const std::string& dir, const Thing& thing, std::string& message) {
    if (thing.kind == NameKind::Account && !forget_member(dir, thing.name, message)) {
        return false;
    }
    std::error_code failed;
    fs::remove(folder_of(dir, thing.kind) + "/" + thing.name + ".json", failed);
    if (failed) {
        message = "cannot remove " + folder_of(dir, thing.kind) + "/" + thing.name +
                  ".json: " + failed.message();
        return false;
    }
    return retire_name(dir, thing.kind, thing.name, message).ok();
}

/// A dry run. Whether a position stands open, only the engine knows.
int say_removal(const OperatorSession& s, const std::vector<Thing>& things) {
    for (const Thing& thing : things) {
        const std::string now =
            thing.kind == NameKind::Account
                ? " (" + account_now(s.segment, s.ids.find(thing.kind, thing.name)) + ")"
                : "";
        std::printf("%s %s: would be removed for good%s\n", thing.word, thing.name.c_str(),
                    now.c_str());
    }
    std::printf("the engine refuses while an order or position of it lives; nothing was changed\n");
    return kExitOk;
}

int remove_all(const Target& target, const std::vector<Thing>& things) {
    if (target.config.empty()) {
        return complain("this command needs --config FILE");
    }
    std::string message;
    auto session = open_session(target, message);
    if (!session) {
        return complain("only a running engine knows whether anything would be lost: " + message);
    }
    const IdBook& ids = session.value().ids;
    for (const Thing& thing : things) {
        if (ids.find(thing.kind, thing.name) == kNoId) {
            return complain(unknown_name(ids, thing.kind, thing.word, thing.name));
        }
        if (const auto place = place_in_file(target.config, thing); !place.empty()) {
            return complain(std::string{thing.word} + " \"" + thing.name + "\" stands in " + place +
                            " of " + target.config + ": take it out there, then remove it");
        }
    }
    if (target.dry_run) {
        return say_removal(session.value(), things);
    }
    auto client = AdminClient::open(session.value().segment, message);
    if (!client) {
        return complain(message);
    }
    const std::string dir = session.value().segment.header().journal_dir;
    for (const Thing& thing : things) {
        const std::uint32_t id = ids.find(thing.kind, thing.name);
        if (!engine_lets_go(client.value(), thing, id, message) || !forget(dir, thing, message)) {
            return complain(message);
        }
        std::printf("%s: removed\n", thing.name.c_str());
    }
    return kExitOk;
}

std::vector<Thing> things_of(NameKind kind, const char* word,
                             const std::vector<std::string>& names) {
    std::vector<Thing> things;
    things.reserve(names.size());
    for (const std::string& name : names) {
        things.push_back({kind, word, name});
    }
    return things;
}

}  // namespace

int remove_accounts(const Target& target, const std::vector<std::string>& names) {
    return remove_all(target, things_of(NameKind::Account, "account", names));
}

int remove_groups(const Target& target, const std::vector<std::string>& names) {
    return remove_all(target, things_of(NameKind::Group, "group", names));
}

int set_groups(const Target& target, GroupState state, const std::vector<std::string>& names) {
    const char* word = state == GroupState::Paused ? "paused" : "resumed";
    return send_for_each(target, NameKind::Group, "group", names, word, [state](std::uint32_t id) {
        return AdminRecord::make(AdminOp::SetGroup, GroupCommand{GroupId{id}, state, {}});
    });
}

int list_groups(const Target& target) {
    std::string message;
    auto session = open_session(target, message);
    if (!session) {
        return complain(message);
    }
    const IdBook& ids = session.value().ids;
    std::printf("%-16s %5s %-8s %s\n", "group", "id", "state", "accounts (ever)");
    for (const auto& [name, id] : ids.names(NameKind::Group)) {
        if (id >= kNamesPerKind) {
            continue;
        }
        const NameEntry& e = session.value().segment.names().groups[id];
        const auto state = static_cast<GroupState>(e.digits.load(std::memory_order_relaxed));
        std::string members;
        for (const auto& [group, account] : ids.members()) {
            if (group == id) {
                members += (members.empty() ? "" : " ") + ids.name_of(NameKind::Account, account);
            }
        }
        std::printf("%-16s %5u %-8s %s\n", name.c_str(), id, std::string{to_string(state)}.c_str(),
                    members.c_str());
    }
    return kExitOk;
}

}  // namespace millrace
