#include "tools/millrace/progress.h"

#include <unistd.h>

#include <cstdio>

namespace millrace {

BackupProgress progress_on_terminal() {
    if (::isatty(STDERR_FILENO) == 0) {
        return {};
    }
    return [last = -1](const char* what, std::uint64_t done, std::uint64_t total) mutable {
        const int percent = total == 0 ? 0 : static_cast<int>(done * 100 / total);
        if (percent != last) {
            std::fprintf(stderr, "\r%-6s %3d %%%s", what, percent, percent == 100 ? "\n" : "");
            last = percent;
        }
        return true;
    };
}

RowsOnTerminal::RowsOnTerminal() : terminal_{::isatty(STDERR_FILENO) != 0} {}

RowsOnTerminal::~RowsOnTerminal() {
    if (shown_ != 0) {
        std::fprintf(stderr, "\n");
    }
}

void RowsOnTerminal::rows(std::uint64_t count) noexcept {
    if (const std::uint64_t thousands = count / 1'000; terminal_ && thousands != shown_) {
        shown_ = thousands;
        std::fprintf(stderr, "\r  %llu,000 rows", static_cast<unsigned long long>(thousands));
    }
}

void tell_on_terminal(const std::string& line) {
    if (::isatty(STDERR_FILENO) != 0) {
        std::fprintf(stderr, "%s\n", line.c_str());
    }
}

}  // namespace millrace
