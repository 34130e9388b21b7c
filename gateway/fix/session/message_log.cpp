#include "gateway/fix/session/message_log.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace millrace {
namespace fix {
namespace {

constexpr long kBytesMax = 64L << 20;

std::FILE* open_private(const std::string& path) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    return fd < 0 ? nullptr : ::fdopen(fd, "a");
}

/// Overwrites the value of `field` (SOH, tag and '=') with asterisks.
void mask(std::string& text, const char* field) {
    const std::size_t at = text.find(field);
    if (at != std::string::npos) {
        const std::size_t from = at + std::strlen(field);
        const std::size_t to = text.find('\x01', from);
        text.replace(from, (to == std::string::npos ? text.size() : to) - from, "***");
    }
}

}  // namespace

MessageLog::~MessageLog() {
    if (file_ != nullptr) {
        std::fclose(file_);
    }
}

std::string MessageLog::open(const std::string& path) {
    path_ = path;
    if (path.empty()) {
        return "";
    }
    file_ = open_private(path);
    if (file_ == nullptr) {
        return path + ": cannot open or create: " + std::strerror(errno);
    }
    std::fseek(file_, 0, SEEK_END);
    bytes_ = std::ftell(file_);
    return "";
}

void MessageLog::write(char direction, const std::string& text) {
    const std::lock_guard<std::mutex> hold{mutex_};
    if (file_ == nullptr) {
        return;
    }
    if (bytes_ > kBytesMax) {
        std::fclose(file_);
        std::rename(path_.c_str(), (path_ + ".1").c_str());
        file_ = open_private(path_);
        bytes_ = 0;
        if (file_ == nullptr) {
            return;
        }
    }
    std::string shown = text;
    mask(shown,
         "\x01"
         "554=");
    mask(shown,
         "\x01"
         "925=");
    for (char& c : shown) {
        c = c == '\x01' ? '|' : c;
    }
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    tm utc{};
    ::gmtime_r(&now.tv_sec, &utc);
    char stamp[32];
    std::strftime(stamp, sizeof(stamp), "%Y%m%d-%H:%M:%S", &utc);
    const int n = std::fprintf(file_, "%s.%06ld %c %s\n", stamp, now.tv_nsec / 1000, direction,
                               shown.c_str());
    std::fflush(file_);
    bytes_ += n > 0 ? n : 0;
}

}  // namespace fix
}  // namespace millrace
