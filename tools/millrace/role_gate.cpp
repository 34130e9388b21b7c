#include "tools/millrace/role_gate.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "tools/millrace/actor.h"
#include "tools/millrace/config.h"
#include "tools/millrace/locate.h"
#include "tools/millrace/roles.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;

/// The words that were given, and the command they lead to.
std::string words_of(const CLI::App& app, const CLI::App*& leaf) {
    std::string words;
    leaf = &app;
    while (!leaf->get_subcommands().empty()) {
        leaf = leaf->get_subcommands().front();
        words += (words.empty() ? "" : " ") + leaf->get_name();
    }
    return words;
}

std::string given(const CLI::App& command, const char* option) {
    const CLI::Option* o = command.get_option_no_throw(option);
    return o != nullptr && o->count() != 0 ? o->as<std::string>() : "";
}

bool is_set(const CLI::App& command, const char* flag) {
    const CLI::Option* o = command.get_option_no_throw(flag);
    return o != nullptr && o->count() != 0;
}

/// Where the list stands that holds for a command, and whose directory it is.
struct Listed {
    std::vector<OperatorConfig> operators;
    std::string file;
    std::uint32_t owner = 0;
    bool unreadable =
        false;  // there is one, and it cannot be read: only the owner may change things
};

std::uint32_t owner_of(const std::string& folder) {
    struct stat st{};
    return ::stat(folder.c_str(), &st) == 0 ? st.st_uid : ::getuid();
}

/// The journal directory of the pipeline that is meant: as the running one says itself, so that a
/// file of one's own with the same name does not pass for its; else as the file says.
std::string directory_of(const Target& target) {
    std::string message;
    if (const auto segment = attach_target(target, message)) {
        return segment.value().header().journal_dir;
    }
    const auto config = target.config.empty() ? Result<Config>{Errc::NotFound, "configuration"}
                                              : config_that_locates(target.config, message);
    return config ? config.value().journal.dir : "";
}

/// What the pipeline was started with; of one that never was, its file. `up` brings the file's own
/// list into force, so it is held against that. Nothing if no pipeline can be found: the command
/// then ends by itself, and says why.
Listed list_of(const std::string& words, const Target& target) {
    Listed listed;
    const std::string dir = directory_of(target);
    listed.file = target.config;
    std::error_code none;
    if (words != "up" && !dir.empty() && fs::exists(checked_config_path(dir), none)) {
        listed.file = checked_config_path(dir);
    }
    if (listed.file.empty()) {
        return listed;
    }
    std::vector<Mistake> mistakes;  // a key file that is not this user's to read is one
    const Config config = read_config(listed.file, mistakes);
    listed.operators = config.operators;
    listed.owner = owner_of(dir);
    listed.unreadable =
        !mistakes.empty() && config.operators.empty() &&
        (config.text.empty() || config.text.find("\"operators\"") != std::string::npos);
    return listed;
}

std::string who_may(const std::vector<OperatorConfig>& operators, Role needed) {
    std::string names;
    for (const OperatorConfig& o : operators) {
        if (o.role >= needed) {
            names += (names.empty() ? "" : ", ") + o.user;
        }
    }
    return names.empty() ? "the pipeline's own user" : names;
}

}  // namespace

bool permitted(const CLI::App& app) {
    const CLI::App* command = nullptr;
    const std::string words = words_of(app, command);
    Role needed = Role::Admin;  // of a command that is not listed
    (void)needed_role(words, needed);
    if (needed == Role::Viewer || is_set(*command, "--dry-run")) {
        return true;
    }
    const Target target{.config = given(*command, "--config"),
                        .segment = given(*command, "--segment")};
    const Listed listed = list_of(words, target);
    const Login login = this_login();
    const Role role = listed.unreadable && login.uid != listed.owner
                          ? Role::Viewer
                          : role_of(listed.operators, login, listed.owner);
    if (role >= needed) {
        return true;
    }
    const std::string refusal =
        "`millrace " + words + "` needs the role " + std::string{to_string(needed)} + ", and " +
        login.name + " is " + std::string{to_string(role)} + " by \"operators\" of " + listed.file;
    std::fprintf(stderr, "millrace: %s; ask %s, or who keeps that file\n", refusal.c_str(),
                 who_may(listed.operators, needed).c_str());
    std::string message;
    if (const auto segment = attach_target(target, message)) {
        segment.value().report_error("operator", "refused: " + refusal);
    }
    return false;
}

}  // namespace millrace
