#include "tools/inspect/locate.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tools/inspect/view.h"

namespace millrace::inspect {
namespace {

namespace fs = std::filesystem;

bool starts_with_magic(const fs::path& path) {
    std::ifstream in{path, std::ios::binary};
    std::uint64_t magic = 0;
    in.read(reinterpret_cast<char*>(&magic), sizeof magic);
    return in.good() && magic == kSegmentMagic;
}

Candidate look_at(const std::string& path) {
    Candidate c;
    c.path = path;
    auto segment = Segment::attach(path, Segment::Mode::ReadOnly, c.fault);
    if (!segment) {
        return c;
    }
    const PipelineView v = read_view(segment.value());
    c.bytes = v.header.total_bytes;
    c.created_ns = v.header.created_ns;
    c.journal_dir = v.header.journal_dir;
    c.same_boot = v.header.same_boot;
    for (const StageStat& s : v.stages) {
        c.stages_alive += lives(s.liveness) ? 1 : 0;
        c.stages_known += s.liveness != Liveness::None ? 1 : 0;
    }
    return c;
}

bool is_file(const std::string& path) {
    std::error_code none;
    return fs::is_regular_file(path, none);
}

std::string names_of(const std::vector<Candidate>& found) {
    std::string out;
    for (const Candidate& c : found) {
        out += (out.empty() ? "" : ", ") + c.path;
    }
    return out;
}

}  // namespace

std::vector<Candidate> list_segments(const std::string& dir) {
    std::vector<Candidate> out;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator{dir, error}) {
        const std::string name = entry.path().filename().string();
        if (entry.is_regular_file(error) &&
            (name.starts_with("millrace") || starts_with_magic(entry.path()))) {
            out.push_back(look_at(entry.path().string()));
        }
    }
    std::sort(out.begin(), out.end(),
              [](const Candidate& a, const Candidate& b) { return a.path < b.path; });
    return out;
}

Result<std::string> resolve(const std::string& name, const std::string& dir, std::string& message) {
    if (name.find('/') != std::string::npos) {
        return name;
    }
    const std::vector<Candidate> found = list_segments(dir);
    if (name.empty() && found.size() == 1) {
        return found.front().path;
    }
    const auto lives = [](const Candidate& c) { return c.stages_alive != 0; };
    if (name.empty() && std::count_if(found.begin(), found.end(), lives) == 1) {
        return std::find_if(found.begin(), found.end(), lives)->path;
    }
    for (const std::string& path :
         {fmt::format("{}/millrace-{}", dir, name), fmt::format("{}/{}", dir, name)}) {
        if (!name.empty() && is_file(path)) {
            return path;
        }
    }
    // A copy in the current directory; what runs goes first.
    if (!name.empty() && is_file(name)) {
        return name;
    }
    if (found.empty()) {
        message = "no segment in " + dir + "; `millrace up` makes one, or give the path of a copy";
        return {Errc::NotFound, "segment"};
    }
    message = (name.empty() ? "which segment? " : "no segment called " + name + "; there is ") +
              names_of(found);
    return {name.empty() ? Errc::BadInput : Errc::NotFound, "segment"};
}

std::vector<std::string> account_names(const std::string& journal_dir) {
    std::vector<std::string> out;
    std::ifstream in{journal_dir + "/ids.json"};
    const auto book = nlohmann::json::parse(in, nullptr, false);
    if (!book.is_object() || !book.contains("accounts") || !book["accounts"].is_object()) {
        return out;
    }
    for (const auto& [name, id] : book["accounts"].items()) {
        constexpr std::uint64_t kIdMax = 1U << 20;  // a broken file must not cost gigabytes
        if (!id.is_number_unsigned() || id.get<std::uint64_t>() >= kIdMax) {
            continue;
        }
        const auto i = id.get<std::size_t>();
        out.resize(std::max(out.size(), i + 1));
        out[i] = name;
    }
    return out;
}

}  // namespace millrace::inspect
