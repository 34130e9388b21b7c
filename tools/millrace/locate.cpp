#include "tools/millrace/locate.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "tools/millrace/config.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;
constexpr const char* kPrefix = "/dev/shm/millrace-";

std::vector<std::string> segments_here() {
    std::vector<std::string> found;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator{"/dev/shm", none}) {
        if (entry.path().string().starts_with(kPrefix)) {
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

Result<std::string> segment_of_config(const std::string& file, std::string& message) {
    std::vector<Mistake> mistakes;
    const Config config = read_config(file, mistakes);
    if (!mistakes.empty()) {
        return fail(message, to_string(mistakes.front()));
    }
    return config.segment_path();
}

}  // namespace

Result<std::string> locate_segment(const Target& target, std::string& message) {
    if (!target.config.empty()) {
        return segment_of_config(target.config, message);
    }
    const char* from_environment = std::getenv("MILLRACE_SEGMENT");
    const std::string named = !target.segment.empty()       ? target.segment
                              : from_environment != nullptr ? from_environment
                                                            : "";
    if (!named.empty()) {
        return named.find('/') == std::string::npos ? kPrefix + named : named;
    }
    const auto found = segments_here();
    if (found.size() == 1) {
        return found.front();
    }
    std::string list;
    for (const std::string& path : found) {
        list += "\n  --segment " + path.substr(std::string_view{kPrefix}.size());
    }
    return fail(message, found.empty() ? "no pipeline runs on this host (no /dev/shm/millrace-*); "
                                         "`millrace up -c FILE` starts one"
                                       : "several pipelines are here; say which:" + list);
}

Result<Segment> attach_target(const Target& target, std::string& message) {
    const auto path = locate_segment(target, message);
    if (!path) {
        return path.error();
    }
    return Segment::attach(path.value(), Segment::Mode::ReadWrite, message);
}

}  // namespace millrace
