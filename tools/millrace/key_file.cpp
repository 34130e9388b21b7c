#include "tools/millrace/key_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

namespace millrace {
namespace {

std::vector<std::byte> refuse(std::string& why, std::string text) {
    why = std::move(text);
    return {};
}

std::string octal(mode_t mode) {
    char text[8] = {};
    std::to_chars(text, text + sizeof text - 1, mode & 07777U, 8);
    return "0" + std::string{text};
}

}  // namespace

std::vector<std::byte> parse_key(std::string_view hex, std::string& why) {
    if (hex.size() < 2 * kKeyBytesMin || hex.size() > 2 * kKeyBytesMax || hex.size() % 2 != 0) {
        return refuse(why, "has " + std::to_string(hex.size()) + " characters; a key is " +
                               std::to_string(2 * kKeyBytesMin) + " to " +
                               std::to_string(2 * kKeyBytesMax) +
                               " hex digits, two a byte (openssl rand -hex 32 makes one)");
    }
    std::vector<std::byte> key;
    for (std::size_t i = 0; i < hex.size(); i += 2) {
        unsigned value = 0;
        const char* end = hex.data() + i + 2;
        const auto [stop, error] = std::from_chars(hex.data() + i, end, value, 16);
        if (error != std::errc{} || stop != end) {
            return refuse(
                why, "holds a character that is no hex digit, at place " + std::to_string(i + 1));
        }
        key.push_back(static_cast<std::byte>(value));
    }
    return key;
}

std::vector<std::byte> read_key_file(const std::string& path, std::string& why) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return refuse(why, "cannot open " + path + ": " + std::strerror(errno));
    }
    struct stat st{};
    char text[2 * kKeyBytesMax + 2] = {};
    const bool known = ::fstat(fd, &st) == 0;
    const ssize_t n = ::read(fd, text, sizeof text);
    ::close(fd);
    if (!known || !S_ISREG(st.st_mode) || n < 0) {
        return refuse(why, path + " is not a readable regular file");
    }
    if ((st.st_mode & 077U) != 0) {
        return refuse(why, path + " has mode " + octal(st.st_mode) +
                               ", others may read it; chmod 600 " + path);
    }
    std::string_view hex{text, static_cast<std::size_t>(n)};
    while (!hex.empty() && (hex.back() == '\n' || hex.back() == '\r' || hex.back() == ' ')) {
        hex.remove_suffix(1);
    }
    std::vector<std::byte> key = parse_key(hex, why);
    why = key.empty() ? path + " " + why : why;
    return key;
}

}  // namespace millrace
