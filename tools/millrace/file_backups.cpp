#include "tools/millrace/file_backups.h"

#include <sys/stat.h>

#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <vector>

#include "tools/millrace/config_backup.h"
#include "tools/millrace/id_book.h"
#include "tools/millrace/operator_session.h"
#include "tools/millrace/preferences.h"
#include "tools/millrace/stages.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;

std::string text_of(const std::string& file) {
    std::ifstream in{file, std::ios::binary};
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
}

std::string of_time(const std::string& file) {
    struct stat s{};
    std::tm parts{};
    char text[40] = "";
    if (::stat(file.c_str(), &s) == 0 && ::gmtime_r(&s.st_mtim.tv_sec, &parts) != nullptr) {
        (void)std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    }
    return text;
}

/// One of the two files that have such copies.
struct Kept {
    const char* what;
    std::string file;
    bool is_config;

    /// Mistakes of `text_file`, read as if it were the file.
    [[nodiscard]] std::vector<Mistake> mistakes_of(const std::string& text_file) const {
        std::vector<Mistake> mistakes;
        if (is_config) {
            (void)read_config(file, mistakes, nullptr, text_file);
        } else {
            (void)read_preferences(text_file, mistakes);
        }
        return mistakes;
    }
};

Kept configuration(const std::string& config_file) {
    return {"configuration", config_file, true};
}
Kept preferences_of(const std::string& config_file) {
    return {"preferences", preferences_path(config_file), false};
}

/// Whose copy `from` is by its name.
std::optional<Kept> kept_as(const std::string& config_file, const std::string& from) {
    const std::string path = fs::absolute(from).lexically_normal().string();
    for (const Kept& kept : {configuration(config_file), preferences_of(config_file)}) {
        const std::string prefix = fs::absolute(kept.file).lexically_normal().string() + ".backup-";
        if (path.starts_with(prefix) && path.size() > prefix.size() &&
            path.find_first_not_of("0123456789", prefix.size()) == std::string::npos) {
            return kept;
        }
    }
    return std::nullopt;
}

void show_copies(const Kept& kept) {
    const std::string now = text_of(kept.file);
    for (const std::string& path : list_config_backups(kept.file)) {
        const std::vector<Mistake> mistakes = kept.mistakes_of(path);
        const std::string state = !mistakes.empty() ? "UNUSABLE: " + to_string(mistakes.front())
                                  : text_of(path) == now ? "as the file is now"
                                                         : "valid";
        std::printf("  %s  %s of %s, %s\n", path.c_str(), kept.what, of_time(path).c_str(),
                    state.c_str());
    }
}

/// @param running the text that a pipeline was started with: its copy stays.
int back_up(const Kept& kept, const std::string& running, bool dry_run) {
    if (const auto mistakes = kept.mistakes_of(kept.file); !mistakes.empty()) {
        return complain(std::string{"no copy of the "} + kept.what + ": " +
                        to_string(mistakes.front()));
    }
    const auto before = list_config_backups(kept.file);
    const std::string text = text_of(kept.file);
    const bool due = before.empty() || text_of(before.back()) != text;
    std::string message;
    std::string made;
    if (due && !dry_run) {
        made = back_up_text(kept.file, text, message, running);
    }
    if (!message.empty()) {
        return complain(std::string{"no copy of the "} + kept.what + ": " + message);
    }
    std::printf("%s %s: %s\n", kept.what, kept.file.c_str(),
                !made.empty() ? ("copied as " + made).c_str()
                : !due        ? "unchanged since its newest copy"
                : dry_run     ? "would be copied"
                              : "is a copy itself, and is not copied");
    show_copies(kept);
    return kExitOk;
}

/// The mode that a file has; of one that is not there that of a file with keys in it.
unsigned mode_of(const std::string& file) {
    struct stat s{};
    return ::stat(file.c_str(), &s) == 0 ? s.st_mode & 0777U : 0600U;
}

}  // namespace

int back_up_files(const Config& config, bool dry_run) {
    const int first = back_up(configuration(config.file),
                              text_of(checked_config_path(config.journal.dir)), dry_run);
    const Kept preferences = preferences_of(config.file);
    const int second = fs::exists(preferences.file) ? back_up(preferences, "", dry_run) : kExitOk;
    return first != kExitOk ? first : second;
}

bool is_file_backup(const std::string& config_file, const std::string& from) {
    return kept_as(config_file, from).has_value();
}

int restore_file(const std::string& config_file, const std::string& from, bool dry_run) {
    const auto kept = kept_as(config_file, from);
    if (!kept) {
        return complain(from + " is no copy of " + config_file + " or its preferences");
    }
    if (!fs::exists(from)) {
        return complain(from + " is not there; see `millrace backup --dry-run`");
    }
    if (const auto mistakes = kept->mistakes_of(from); !mistakes.empty()) {
        return complain(mistakes);
    }
    const std::string text = text_of(from);
    const bool there = fs::exists(kept->file);
    if (there && text_of(kept->file) == text) {
        std::printf("nothing to do: %s is as %s\n", kept->file.c_str(), from.c_str());
        return kExitOk;
    }
    const char* const effect = kept->is_config ? "takes effect with the next `millrace up`"
                                               : "a running pipeline goes by it in a second";
    if (dry_run) {
        std::printf("%s, %s of %s, is valid: would take the place of %s%s; it %s\n", from.c_str(),
                    kept->what, of_time(from).c_str(), kept->file.c_str(),
                    there ? ", which would be kept as another copy" : ", which is gone", effect);
        return kExitOk;
    }
    std::string message;
    std::string now;
    if (there) {
        now = back_up_text(kept->file, text_of(kept->file), message, text);
    }
    // By its real name: a link to the file stays one.
    const std::string target = fs::weakly_canonical(kept->file).string();
    if (!message.empty() || !replace_file(target, text, mode_of(target), message)) {
        return complain("nothing was restored: " + message);
    }
    std::printf("restored %s from %s%s%s; it %s\n", kept->file.c_str(), from.c_str(),
                now.empty() ? "" : ", the old one is ", now.c_str(), effect);
    return kExitOk;
}

}  // namespace millrace
