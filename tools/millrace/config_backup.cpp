#include "tools/millrace/config_backup.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <utility>

#include "persist/file_preparer.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view kInfix = ".backup-";

std::optional<std::uint64_t> number_of(std::string_view digits) {
    std::uint64_t n = 0;
    const char* const end = digits.data() + digits.size();
    const auto parsed = std::from_chars(digits.data(), end, n);
    return !digits.empty() && parsed.ec == std::errc{} && parsed.ptr == end ? std::optional{n}
                                                                            : std::nullopt;
}

/// (number, path), oldest first.
std::vector<std::pair<std::uint64_t, std::string>> numbered(const std::string& file) {
    const fs::path path = fs::absolute(file).lexically_normal();
    const std::string prefix = path.filename().string() + std::string{kInfix};
    std::vector<std::pair<std::uint64_t, std::string>> found;
    std::error_code error;
    for (fs::directory_iterator it{path.parent_path(), error}, end; !error && it != end;
         it.increment(error)) {
        const std::string name = it->path().filename().string();
        if (!name.starts_with(prefix)) {
            continue;
        }
        if (const auto n = number_of(std::string_view{name}.substr(prefix.size()))) {
            found.emplace_back(*n, it->path().string());
        }
    }
    std::sort(found.begin(), found.end());
    return found;
}

bool is_backup(const std::string& file) {
    const std::size_t at = file.rfind(kInfix);
    return at != std::string::npos &&
           number_of(std::string_view{file}.substr(at + kInfix.size())).has_value();
}

std::optional<std::string> text_of(const std::string& file) {
    std::ifstream in{file, std::ios::binary};
    std::stringstream text;
    if (in && in.peek() != std::ifstream::traits_type::eof()) {
        text << in.rdbuf();
    }
    return in ? std::optional{text.str()} : std::nullopt;
}

/// Whole and flushed under its name, or not there. It may hold keys: nobody else reads it.
bool write_whole(const std::string& path, const std::string& text) {
    const std::string making = path + ".making";
    (void)::unlink(making.c_str());  // of a run that died
    const int fd = ::open(making.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool done = fd >= 0 &&
                ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                ::fsync(fd) == 0;
    if (fd >= 0) {
        ::close(fd);
    }
    done = done && ::rename(making.c_str(), path.c_str()) == 0;
    if (!done) {
        const int e = errno;
        (void)::unlink(making.c_str());
        errno = e;
    }
    return done && sync_directory(fs::path{path}.parent_path().string()).ok();
}

/// The newest of `backups` with this text; empty if there is none.
std::string newest_of(const std::vector<std::pair<std::uint64_t, std::string>>& backups,
                      const std::string& text) {
    for (auto b = backups.rbegin(); b != backups.rend(); ++b) {
        if (text_of(b->second) == text) {
            return b->second;
        }
    }
    return "";
}

/// Of those before a new one the oldest, but `kept`. One that stays is tried after the next one.
void remove_old(const std::vector<std::pair<std::uint64_t, std::string>>& before,
                const std::string& kept) {
    std::size_t left = before.size() + 1;
    for (auto b = before.begin(); b != before.end() && left > kConfigBackups; ++b) {
        if (b->second != kept) {
            (void)::unlink(b->second.c_str());
            --left;
        }
    }
}

std::string made_at(const std::string& path) {
    struct stat s{};
    std::tm parts{};
    char text[40] = "";
    if (::stat(path.c_str(), &s) == 0 && ::gmtime_r(&s.st_mtim.tv_sec, &parts) != nullptr) {
        (void)std::strftime(text, sizeof text, ", of %Y-%m-%dT%H:%M:%SZ", &parts);
    }
    return text;
}

}  // namespace

std::vector<std::string> list_config_backups(const std::string& file) {
    std::vector<std::string> paths;
    for (auto& [n, path] : numbered(file)) {
        paths.push_back(std::move(path));
    }
    return paths;
}

std::string back_up_config(const Config& started, std::string& message) {
    std::string path = back_up_text(started.file, started.text, message);
    message = message.empty() ? "" : "no backup of the configuration: " + message;
    return path;
}

std::string back_up_text(const std::string& file, const std::string& text, std::string& message,
                         const std::string& keep) {
    message.clear();
    const auto before = numbered(file);
    const auto newest = before.empty() ? std::nullopt : text_of(before.back().second);
    if (is_backup(file) || (newest && *newest == text)) {
        return "";
    }
    const std::uint64_t n = before.empty() ? 1 : before.back().first + 1;
    std::string path =
        fs::absolute(file).lexically_normal().string() + std::string{kInfix} + std::to_string(n);
    if (!write_whole(path, text)) {
        message = path + ": " + std::strerror(errno);
        return "";
    }
    remove_old(before, keep.empty() || text == keep ? "" : newest_of(before, keep));
    return path;
}

std::string back_up_edited_config(const Config& started, std::string& message,
                                  std::string& broken) {
    message.clear();
    broken.clear();
    std::vector<Mistake> mistakes;
    const Config now = read_config(started.file, mistakes);
    if (!mistakes.empty()) {
        broken = started.file + " is broken now: " + to_string(mistakes.front()) +
                 "; a start would go on with the last valid one";
        return "";
    }
    std::string path = back_up_text(started.file, now.text, message, started.text);
    message = message.empty() ? "" : "no backup of the configuration: " + message;
    return path;
}

Config read_config_or_backup(const std::string& file, std::vector<Mistake>& mistakes,
                             std::string& notice) {
    notice.clear();
    const std::size_t known = mistakes.size();
    Config config = read_config(file, mistakes);
    if (mistakes.size() == known) {
        return config;
    }
    auto backups = list_config_backups(file);
    for (auto path = backups.rbegin(); path != backups.rend(); ++path) {
        std::vector<Mistake> of_backup;
        Config found = read_config(*path, of_backup);
        if (of_backup.empty()) {
            notice = "ALERT " + file + " is broken: " + to_string(mistakes[known]) +
                     ". GOING ON WITH THE LAST VALID ONE, " + *path + made_at(*path) +
                     ". Mend the file and start again";
            return found;
        }
    }
    return config;
}

}  // namespace millrace
