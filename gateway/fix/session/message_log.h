// Every message of a session in a file, as brokers ask for it when there is a dispute.
#pragma once

#include <cstdio>
#include <mutex>
#include <string>

namespace millrace {
namespace fix {

/// One line a message or event: UTC time, `<` in, `>` out or `*` event, the text with | for SOH and
/// with Password(554) and NewPassword(925) masked. At 64 MiB the file is renamed to FILE.1.
/// Threads: any. A file that cannot be written stops nothing.
class MessageLog {
public:
    MessageLog() = default;
    ~MessageLog();
    MessageLog(const MessageLog&) = delete;
    MessageLog& operator=(const MessageLog&) = delete;

    /// @param path empty = nothing is written. @return empty, or why it cannot be opened.
    std::string open(const std::string& path);
    void write(char direction, const std::string& text);

private:
    std::mutex mutex_;
    std::string path_;
    std::FILE* file_ = nullptr;
    long bytes_ = 0;
};

}  // namespace fix
}  // namespace millrace
