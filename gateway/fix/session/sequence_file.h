// The two sequence numbers of a FIX session (FIX 4.4 volume 2, "Message sequence numbers") on disk,
// in one line of text, so that an operator who agreed on other numbers with the venue can write
// them down with any editor while the executor is stopped:
//
//     sender=0000000042 target=0000000117
//
// C++14, like everything in this folder: QuickFIX's headers do not compile as C++17.
#pragma once

#include <cstdint>
#include <string>

namespace millrace {
namespace fix {

/// Threads: one at a time. A failed write is final: every later one fails too.
class SequenceFile {
public:
    SequenceFile() = default;
    ~SequenceFile();
    SequenceFile(const SequenceFile&) = delete;
    SequenceFile& operator=(const SequenceFile&) = delete;

    /// Opens or creates (1 and 1, mode 0600).
    /// @return empty, or what is wrong: cannot be opened, or holds no such line.
    std::string open(const std::string& path);

    /// The next number we send under, and the next one of the venue's that has not been dealt with.
    std::uint32_t sender() const noexcept { return sender_; }
    std::uint32_t target() const noexcept { return target_; }

    /// On disk when it returns true: a number that left is never used again, power cut or not.
    bool set_sender(std::uint32_t next) noexcept;
    /// Written, not flushed: a number below the true one only brings messages a second time.
    bool set_target(std::uint32_t next) noexcept;

private:
    bool write() noexcept;

    int fd_ = -1;
    std::uint32_t sender_ = 1;
    std::uint32_t target_ = 1;
    bool failed_ = false;
};

}  // namespace fix
}  // namespace millrace
