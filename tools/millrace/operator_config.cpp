// Operator commands that change the configuration of a running pipeline: each writes its part
// durably beside the journal first, then tells the engine.
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tools/millrace/admin_client.h"
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

/// Reads the whole configuration again and tells the engine, if a pipeline runs.
int apply(const Target& target, TryFile& file) {
    std::vector<Mistake> mistakes;
    const Config config = read_config(target.config, mistakes);
    if (!mistakes.empty()) {
        return complain(mistakes);
    }
    std::string message;
    IdBook ids;
    const auto records = prepare_records(config, ids, message);
    if (!records) {
        return complain(message);
    }
    file.keep();
    // Again, now that the ids are written: a terminal that logs in from here on finds its account.
    fs::last_write_time(accounts_folder(config.journal.dir), fs::file_time_type::clock::now());
    auto segment = Segment::attach(config.segment_path(), Segment::Mode::ReadWrite, message);
    if (!segment) {
        std::printf("written; it takes effect with the next `millrace up`\n");
        return kExitOk;
    }
    if (!send_config(segment.value(), records.value(), nullptr, message)) {
        return complain(message);
    }
    if (!message.empty()) {
        complain("note: " + message);
    }
    std::printf("the engine has it\n");
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
    fs::create_directories(accounts_folder(dir), none);
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

int write_group(const Target& target, const std::string& dir, const nlohmann::ordered_json& group) {
    std::string message;
    TryFile file{groups_folder(dir) + "/" + group.at("name").get<std::string>() + ".json",
                 group.dump(2) + "\n", message};
    return file.written() ? apply(target, file) : complain(message);
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
    std::string message;
    TryFile added{at, text, message};
    return added.written() ? apply(target, added) : complain(message);
}

int add_group(const Target& target, const std::string& name) {
    std::string dir;
    int exit_code = kExitOk;
    return journal_dir(target, dir, exit_code) ? write_group(target, dir, added_group(dir, name))
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
    std::string message;
    TryFile file{groups_folder(dir) + "/" + change.group + ".json", text, message};
    return file.written() ? apply(target, file) : complain(message);
}

}  // namespace millrace
