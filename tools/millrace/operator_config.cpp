// Operator commands that change the configuration of a running pipeline: each writes its part
// durably beside the journal first, then tells the engine.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "tools/millrace/admin_client.h"
#include "tools/millrace/config_check.h"
#include "tools/millrace/config_records.h"
#include "tools/millrace/operator.h"
#include "tools/millrace/operator_session.h"
#include "tools/millrace/stages.h"
#include "tools/millrace/startup.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;

/// Puts `text` at `path`, or takes the file away again if the configuration is wrong with it.
class TryFile {
public:
    TryFile(std::string path, const std::string& text, std::string& message)
        : path_{std::move(path)} {
        std::error_code none;
        fs::create_directories(fs::path{path_}.parent_path(), none);
        if (std::ifstream in{path_}; in) {
            before_.emplace(std::istreambuf_iterator<char>{in}, std::istreambuf_iterator<char>{});
        }
        written_ = replace_file(path_, text, 0600, message).ok();
    }
    ~TryFile() {
        std::string ignored;  // the mistake that leads here is reported; this only tidies up
        if (!kept_ && written_ && before_) {
            (void)replace_file(path_, *before_, 0600, ignored);
        } else if (!kept_ && written_) {
            ::unlink(path_.c_str());
        }
    }
    TryFile(const TryFile&) = delete;
    TryFile& operator=(const TryFile&) = delete;
    [[nodiscard]] bool written() const noexcept { return written_; }
    void keep() noexcept { kept_ = true; }

private:
    std::string path_;
    std::optional<std::string> before_;
    bool written_ = false;
    bool kept_ = false;
};

/// What a command adds or changes, by name. The engine is told of this and of nothing else.
struct Change {
    std::string account;
    std::string group;  // with an account: its membership
};

/// Names that were removed by command since the start stand in the text of the start still. Given
/// an id again they would come back.
void drop_removed(Config& running, const Config& wanted, const IdBook& ids) {
    const auto removed = [&](const std::string& name) {
        const bool stays = std::any_of(wanted.accounts.begin(), wanted.accounts.end(),
                                       [&](const AccountConfig& a) { return a.name == name; });
        return !stays && ids.find(NameKind::Account, name) == kNoId;
    };
    std::erase_if(running.accounts, [&](const AccountConfig& a) { return removed(a.name); });
    for (GroupConfig& group : running.groups) {
        std::erase_if(group.members, [&](const MemberConfig& m) { return removed(m.account); });
    }
    std::erase_if(running.groups, [&](const GroupConfig& group) {
        const bool stays = std::any_of(wanted.groups.begin(), wanted.groups.end(),
                                       [&](const GroupConfig& g) { return g.name == group.name; });
        return !stays && ids.find(NameKind::Group, group.name) == kNoId;
    });
}

/// Attaches to the pipeline of `config`, if it runs on this journal.
std::optional<Segment> pipeline_of(const Config& config) {
    std::string message;
    auto segment = Segment::attach(config.segment_path(), Segment::Mode::ReadWrite, message);
    const bool ours = segment && segment.value().header().journal_dir == config.journal.dir;
    return ours ? std::optional{std::move(segment).value()} : std::nullopt;
}

ConfigRecords records_of(const Change& change, const ConfigRecords& all, const IdBook& ids) {
    const std::uint32_t account = ids.find(NameKind::Account, change.account);
    const std::uint32_t group = ids.find(NameKind::Group, change.group);
    const auto concerned = [&](const AdminRecord& r) {
        switch (r.op) {
            case AdminOp::DefineAccount:
                return change.group.empty() && r.as<AccountSpec>().id.value == account;
            case AdminOp::DefineGroup: return r.as<GroupSpec>().id.value == group;
            case AdminOp::DefineLimits: {
                const auto l = r.as<LimitSpec>();
                return l.scope == LimitScope::Group ? l.id == group
                                                    : change.group.empty() && l.id == account;
            }
            case AdminOp::DefineMoneyLimits: {
                const auto l = r.as<MoneyLimitSpec>();
                return l.scope == LimitScope::Group ? l.id == group
                                                    : change.group.empty() && l.id == account;
            }
            case AdminOp::DefineHours: {
                const auto h = r.as<HoursSpec>();
                return h.scope == HoursScope::Account && change.group.empty() && h.id == account;
            }
            case AdminOp::DefineMember: {
                const auto m = r.as<MemberSpec>();
                return m.group.value == group && m.account.value == account;
            }
            default: return false;
        }
    };
    ConfigRecords told;
    std::copy_if(all.records.begin(), all.records.end(), std::back_inserter(told.records),
                 concerned);
    return told;
}

int tell(const Segment& segment, const ConfigRecords& records, bool edited) {
    std::string message;
    if (!send_config(segment, records, nullptr, message)) {
        return complain(message);
    }
    if (!message.empty()) {
        complain("note: " + message);
    }
    if (edited) {
        complain(
            "note: the configuration file was edited since the start; that takes effect with "
            "the next one");
    }
    std::printf("the engine has it\n");
    return kExitOk;
}

/// Checks the whole configuration with the change in it, and tells the engine, if a pipeline runs.
/// That goes by the text of its start and not by the file: what was edited there meanwhile waits
/// for the next start, which asks whether the journal and the terminals allow it.
int apply(const Target& target, const Change& change, TryFile& file) {
    std::vector<Mistake> mistakes;
    const Config wanted = read_config(target.config, mistakes);
    if (!mistakes.empty()) {
        return complain(mistakes);
    }
    const std::string& dir = wanted.journal.dir;
    Config running = read_config(target.config, mistakes, nullptr, checked_config_path(dir));
    auto segment = running.text.empty() ? std::nullopt : pipeline_of(running);
    if (!segment) {
        running = wanted;  // none runs, or its text could not be kept: then its stages read this
        segment = pipeline_of(wanted);
    } else if (!mistakes.empty()) {
        complain("not by the configuration that runs; stop and start the pipeline first");
        return complain(mistakes);
    }
    std::string message;
    auto ids = IdBook::load(dir, message);
    if (!ids) {
        return complain(message);
    }
    drop_removed(running, wanted, ids.value());
    const auto records = prepare_records(running, ids.value(), message);
    if (!records) {
        return complain(message);
    }
    file.keep();
    // Again, now that the ids are written: a terminal that logs in from here on finds its account.
    fs::last_write_time(accounts_folder(dir), fs::file_time_type::clock::now());
    if (!segment) {
        std::printf("written; it takes effect with the next `millrace up`\n");
        return kExitOk;
    }
    return tell(*segment, records_of(change, records.value(), ids.value()),
                running.text != wanted.text);
}

/// A dry run: checks the whole configuration with what `add` puts into it, and says what would be
/// done. The engine is not asked: it may have no room for another one.
template <class Add>
int say_change(const Target& target, const Change& change, Add&& add) {
    std::vector<Mistake> mistakes;
    Config config = read_config(target.config, mistakes);
    add(config, mistakes);
    if (mistakes.empty()) {
        check_config(config, mistakes);
    }
    if (!mistakes.empty()) {
        return complain(mistakes);
    }
    const std::string what = change.group.empty() ? "account " + change.account + " would be added"
                             : change.account.empty() ? "group " + change.group + " would be added"
                                                      : "group " + change.group + ": its member " +
                                                            change.account + " would be changed";
    std::printf(
        "%s, %s; nothing was changed\n", what.c_str(),
        pipeline_of(config) ? "and the engine told" : "for the next `millrace up`: none runs");
    return kExitOk;
}

/// The journal directory of --config, made if it is missing.
bool journal_dir(const Target& target, std::string& dir, int& exit_code) {
    if (target.config.empty()) {
        exit_code = complain("this command needs --config FILE");
        return false;
    }
    std::vector<Mistake> mistakes;
    const Config config = read_config(target.config, mistakes);
    if (!mistakes.empty()) {
        exit_code = complain(mistakes);
        return false;
    }
    dir = config.journal.dir;
    std::error_code none;
    if (!target.dry_run) {
        fs::create_directories(accounts_folder(dir), none);
    }
    return true;
}

std::string read_text(const std::string& file) {
    std::stringstream text;
    if (file == "-") {
        text << std::cin.rdbuf();
    } else {
        text << std::ifstream{file, std::ios::binary}.rdbuf();
    }
    return text.str();
}

int write_group(const Target& target, const std::string& dir, const Change& change,
                const std::string& text) {
    const std::string at = groups_folder(dir) + "/" + change.group + ".json";
    if (target.dry_run) {
        return say_change(target, change, [&](Config& config, std::vector<Mistake>& mistakes) {
            merge_group_text(config, at, text, mistakes);
        });
    }
    std::string message;
    TryFile file{at, text, message};
    return file.written() ? apply(target, change, file) : complain(message);
}

nlohmann::ordered_json added_group(const std::string& dir, const std::string& name) {
    const std::string text = read_text(groups_folder(dir) + "/" + name + ".json");
    auto group = nlohmann::ordered_json::parse(text, nullptr, false);
    if (group.is_discarded()) {
        group = {{"name", name}, {"members", nlohmann::ordered_json::array()}};
    }
    return group;
}

}  // namespace

int add_account(const Target& target, const std::string& file) {
    std::string dir;
    int exit_code = kExitOk;
    if (!journal_dir(target, dir, exit_code)) {
        return exit_code;
    }
    const std::string text = read_text(file);
    std::vector<Mistake> mistakes;
    const AccountConfig account = read_account(file, text, mistakes);
    if (!mistakes.empty()) {
        return complain(mistakes);
    }
    if (text.find("key_file") != std::string::npos && file == "-") {
        return complain(
            "\"key_file\" of an account from standard input is relative to nothing; use "
            "\"key\" or a file");
    }
    const std::string at = accounts_folder(dir) + "/" + account.name + ".json";
    if (fs::exists(at)) {
        return complain("account \"" + account.name + "\" was added before; edit " + at +
                        " and run `millrace up` again to change it");
    }
    if (target.dry_run) {
        return say_change(target, {account.name, {}}, [&](Config& config, std::vector<Mistake>&) {
            config.accounts.push_back(account);
        });
    }
    std::string message;
    TryFile added{at, text, message};
    return added.written() ? apply(target, {account.name, {}}, added) : complain(message);
}

int add_group(const Target& target, const std::string& name) {
    std::string dir;
    int exit_code = kExitOk;
    return journal_dir(target, dir, exit_code)
               ? write_group(target, dir, {{}, name}, added_group(dir, name).dump(2) + "\n")
               : exit_code;
}

int change_member(const Target& target, const MemberChange& change) {
    std::string dir;
    int exit_code = kExitOk;
    if (!journal_dir(target, dir, exit_code)) {
        return exit_code;
    }
    nlohmann::ordered_json member{{"account", change.account}, {"enabled", !change.remove}};
    if (!change.remove) {
        member["sizing"] = change.sizing;
        member["symbols"] = change.symbols;
        member["value"] = "@value@";
    }
    auto group = added_group(dir, change.group);
    auto& members = group["members"];
    for (auto m = members.begin(); m != members.end();) {
        m = m->value("account", "") == change.account ? members.erase(m) : m + 1;
    }
    members.push_back(member);
    // The number goes in as it was typed: through a double it might come out as another.
    std::string text = group.dump(2) + "\n";
    if (const std::size_t at = text.find("\"@value@\""); at != std::string::npos) {
        text.replace(at, 9, change.value);
    }
    return write_group(target, dir, {change.account, change.group}, text);
}

}  // namespace millrace
