// `inspect top` as an operator has it: a process of its own under a pseudo terminal of 80x24.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

namespace millrace::bench {

/// `inspect top SEGMENT` at 10 Hz, stopped at first. Stopped and continued rather than started and
/// ended, so that nothing else differs between the rounds. Runs where the kernel puts it.
class Top {
public:
    explicit Top(const std::string& segment_path);
    ~Top();
    Top(const Top&) = delete;
    Top& operator=(const Top&) = delete;

    void run(bool on) const;
    /// Bytes drawn so far.
    [[nodiscard]] std::uint64_t bytes() const { return bytes_.load(); }

private:
    pid_t pid_ = -1;
    int terminal_ = -1;
    std::atomic<std::uint64_t> bytes_{0};
    std::thread reader_;
};

}  // namespace millrace::bench
