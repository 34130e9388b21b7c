#include "tools/millrace/second_config.h"

#include <algorithm>
#include <filesystem>

namespace millrace {
namespace {

namespace fs = std::filesystem;

/// Without a slash at its end.
fs::path folder(const fs::path& path) {
    return path.has_filename() ? path : path.parent_path();
}

/// True if `inner` is `outer` or lies in it.
bool lies_in(const fs::path& inner, const fs::path& outer) {
    return std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end()).first ==
           outer.end();
}

}  // namespace

void read_second_directory(ObjectReader& journal, const std::string& file, const std::string& dir,
                           SecondDirectoryConfig& out) {
    std::string path;
    journal.text("second_directory", path, {0, 240});
    journal.integer("answer_ms", out.answer_ms, {100, 600'000});
    if (path.empty()) {
        return;
    }
    const fs::path second =
        folder(fs::absolute(fs::absolute(file).parent_path() / path).lexically_normal());
    // By their names: every stage reads this, and a disk may not answer. `up` looks closer.
    const fs::path first = folder(dir);
    if (lies_in(second, first) || lies_in(first, second)) {
        journal.complain("second_directory",
                         "is \"" + path +
                             "\", which lies in journal.dir or holds it; name a folder on another "
                             "disk");
        return;
    }
    out.path = second.string();
}

SecondDirectoryConfig configured_second(const Config& config) {
    SecondDirectoryConfig second;
    ReadLog log{config.file};  // of mistakes there are none: read_config() has told them
    const auto doc = parse_json(config.text, config.file, log.mistakes);
    if (doc) {
        ObjectReader document{*doc, "", log};
        document.object("journal", [&](ObjectReader& journal) {
            read_second_directory(journal, config.file, config.journal.dir, second);
        });
    }
    return second;
}

}  // namespace millrace
