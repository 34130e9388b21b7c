// Lines of a text file, plain or gzip, in order.
#pragma once

#include "core/result.h"

#include <memory>
#include <string>
#include <string_view>

namespace millrace::market {

/// Threads: one.
class LineReader {
public:
    /// Longer lines are cut and count as malformed.
    static constexpr std::size_t kLineBytesMax = 4096;

    ~LineReader();
    LineReader(LineReader&&) noexcept;
    LineReader& operator=(LineReader&&) noexcept;

    /// @return Errc::IoError with errno if the file cannot be opened.
    [[nodiscard]] static Result<LineReader> open(const std::string& path);

    /// The next line without its end ("\n" or "\r\n"); false at the end, or when the file is
    /// damaged (see damage()). The view holds until the next call.
    [[nodiscard]] bool next(std::string_view& line);
    [[nodiscard]] std::uint64_t line_number() const noexcept;
    /// Empty, or why reading stopped before the end: a truncated or damaged gzip file.
    [[nodiscard]] const std::string& damage() const noexcept;

private:
    struct File;
    explicit LineReader(std::unique_ptr<File> file);
    std::unique_ptr<File> file_;
};

/// Splits at `separator` into `fields`. @return how many fields there are, which may be more than
/// `count` (those are not stored).
std::size_t split(std::string_view line, char separator, std::string_view* fields,
                  std::size_t count) noexcept;

}  // namespace millrace::market
