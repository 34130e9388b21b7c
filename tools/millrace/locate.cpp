#include "tools/millrace/locate.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <utility>
#include <vector>

#include "tools/millrace/config_backup.h"
#include "tools/millrace/process.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view kPrefix = "millrace-";
constexpr std::string_view kAside = ".unusable";  // what a start put aside is nobody's pipeline

std::vector<std::string> segments_in(const std::string& folder) {
    std::vector<std::string> found;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator{folder, none}) {
        const std::string name = entry.path().filename().string();
        if (name.starts_with(kPrefix) && !name.ends_with(kAside)) {
            found.push_back(entry.path().string());
        }
    }
    std::sort(found.begin(), found.end());
    return found;
}

Error fail(std::string& message, std::string text) {
    message = std::move(text);
    return {Errc::NotFound, 0, "segment"};
}

/// Do the mistakes leave no doubt where the pipeline is? A name that is not there may be one whose
/// key has the mistake.
bool says_where(const Config& config, const std::string& file,
                const std::vector<Mistake>& mistakes) {
    const bool named = config.name != Config{}.name;
    return !config.text.empty() &&
           std::none_of(mistakes.begin(), mistakes.end(), [&](const Mistake& m) {
               return m.file == file &&
                      (!named || m.key == "name" || m.key.starts_with("journal") ||
                       m.key.starts_with("memory"));
           });
}

/// Who of a pipeline lives, for people: what is stale is seen at a glance.
std::string who_runs(const std::string& path) {
    std::string why;
    const auto segment = Segment::attach(path, Segment::Mode::ReadOnly, why);
    if (!segment) {
        return "cannot be read: " + why;
    }
    std::string living;
    for (std::uint32_t i = 0; i < kStages; ++i) {
        const auto id = static_cast<StageId>(i);
        const StageEntry& e = segment.value().stage(id);
        // Relaxed: compared with /proc.
        const ProcessId process{static_cast<int>(e.pid.load(std::memory_order_relaxed)),
                                e.start_time.load(std::memory_order_relaxed)};
        if (process.alive()) {
            living += std::string{living.empty() ? "runs: " : ", "} + stage_name(id) + " (pid " +
                      std::to_string(process.pid) + ")";
        }
    }
    return living.empty()
               ? "nothing of it runs; pid " + std::to_string(segment.value().header().creator_pid) +
                     " had made it"
               : living;
}

/// "several pipelines ..." and a line for each.
std::string several(const std::vector<std::string>& found) {
    std::string list = "several pipelines are here; say which:";
    for (const std::string& path : found) {
        const std::string file = fs::path{path}.filename().string();
        list += "\n  --segment " + file.substr(kPrefix.size()) + "    " + who_runs(path);
    }
    return list;
}

/// Once: a command may ask several times.
void tell(const std::string& text) {
    static bool told = false;
    if (!std::exchange(told, true)) {
        std::fprintf(stderr, "millrace: note: %s\n", text.c_str());
    }
}

/// The file cannot be read at all: there may be but one pipeline that it can have meant.
Result<std::string> only_segment(const std::string& file, const std::string& folder,
                                 std::string& message) {
    const auto found = segments_in(folder);
    std::error_code none;
    if (found.size() != 1 || !fs::exists(file, none)) {
        message += found.size() > 1 ? "; " + several(found) : "";
        return {Errc::NotFound, "segment"};
    }
    tell(message + "; taking the only pipeline on this host, " + found.front());
    return found.front();
}

}  // namespace

Result<Config> config_that_locates(const std::string& file, std::string& message) {
    std::vector<Mistake> mistakes;
    Config config = read_config(file, mistakes);
    if (mistakes.empty()) {
        return config;
    }
    message = to_string(mistakes.front());
    if (says_where(config, file, mistakes)) {
        tell(message + "; it says which pipeline is meant all the same");
        return config;
    }
    auto backups = list_config_backups(file);
    for (auto path = backups.rbegin(); path != backups.rend(); ++path) {
        mistakes.clear();
        config = read_config(*path, mistakes);
        if (says_where(config, *path, mistakes)) {
            tell(message + "; its backup " + *path + " says which pipeline is meant");
            return config;
        }
    }
    return {Errc::NotFound, "config"};
}

Result<std::string> locate_segment(const Target& target, std::string& message, Doubt doubt,
                                   const std::string& folder) {
    if (!target.config.empty()) {
        const auto config = config_that_locates(target.config, message);
        if (config) {
            return config.value().segment_path();
        }
        if (doubt == Doubt::TakeTheOnlyOne) {
            return only_segment(target.config, folder, message);
        }
        return fail(message, message + "; mend it, or name the pipeline with --segment");
    }
    const char* from_environment = std::getenv("MILLRACE_SEGMENT");
    const std::string named = !target.segment.empty()       ? target.segment
                              : from_environment != nullptr ? from_environment
                                                            : "";
    if (!named.empty()) {
        return named.find('/') == std::string::npos ? folder + "/" + std::string{kPrefix} + named
                                                    : named;
    }
    const auto found = segments_in(folder);
    if (found.size() == 1) {
        return found.front();
    }
    return fail(message, found.empty() ? "no pipeline runs on this host (no /dev/shm/millrace-*); "
                                         "`millrace up -c FILE` starts one"
                                       : several(found));
}

Result<Segment> attach_target(const Target& target, std::string& message, Doubt doubt) {
    const auto path = locate_segment(target, message, doubt);
    if (!path) {
        return path.error();
    }
    return Segment::attach(path.value(), Segment::Mode::ReadWrite, message);
}

}  // namespace millrace
