#include "tools/market/line_reader.h"

#include <zlib.h>

#include <cerrno>
#include <cstring>

namespace millrace::market {

struct LineReader::File {
    gzFile gz = nullptr;
    std::uint64_t number = 0;
    std::string damage;
    char line[kLineBytesMax + 2] = {};
    ~File() { gzclose(gz); }
};

LineReader::LineReader(std::unique_ptr<File> file) : file_{std::move(file)} {}
LineReader::~LineReader() = default;
LineReader::LineReader(LineReader&&) noexcept = default;
LineReader& LineReader::operator=(LineReader&&) noexcept = default;

Result<LineReader> LineReader::open(const std::string& path) {
    auto file = std::make_unique<File>();
    errno = 0;
    file->gz = gzopen(path.c_str(), "rbe");  // reads plain text as it is
    if (file->gz == nullptr) {
        return {Errc::IoError, "cannot open the file", errno};
    }
    gzbuffer(file->gz, 256 * 1024);
    return LineReader{std::move(file)};
}

bool LineReader::next(std::string_view& line) {
    File& f = *file_;
    if (gzgets(f.gz, f.line, static_cast<int>(sizeof f.line)) == nullptr) {
        int code = Z_OK;
        const char* text = gzerror(f.gz, &code);
        if (code != Z_OK && code != Z_STREAM_END && f.damage.empty()) {
            f.damage = code == Z_ERRNO ? std::strerror(errno) : text;
        }
        return false;
    }
    ++f.number;
    std::size_t bytes = std::strlen(f.line);
    if (bytes == sizeof f.line - 1 && f.line[bytes - 1] != '\n') {
        // Overlong: skip its rest, so that it stays one line of the count.
        for (int c = gzgetc(f.gz); c != -1 && c != '\n'; c = gzgetc(f.gz)) {
        }
    }
    while (bytes > 0 && (f.line[bytes - 1] == '\n' || f.line[bytes - 1] == '\r')) {
        --bytes;
    }
    line = {f.line, bytes};
    if (f.number == 1 && line.starts_with("\xEF\xBB\xBF")) {
        line.remove_prefix(3);
    }
    return true;
}

std::uint64_t LineReader::line_number() const noexcept {
    return file_->number;
}
const std::string& LineReader::damage() const noexcept {
    return file_->damage;
}

std::size_t split(std::string_view line, char separator, std::string_view* fields,
                  std::size_t count) noexcept {
    std::size_t found = 0;
    for (;;) {
        const auto end = line.find(separator);
        if (found < count) {
            fields[found] = line.substr(0, end);
        }
        ++found;
        if (end == std::string_view::npos) {
            return found;
        }
        line.remove_prefix(end + 1);
    }
}

}  // namespace millrace::market
