// Apart: work that may end its process, such as applying a log at which an engine halts, in a child
// process that may die of it.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>

namespace millrace {

/// Memory that a child of run_apart() shares with us; zeroed at first.
class SharedBytes {
public:
    /// @param bytes > 0. Empty if there is no memory.
    explicit SharedBytes(std::size_t bytes);
    ~SharedBytes();
    SharedBytes(const SharedBytes&) = delete;
    SharedBytes& operator=(const SharedBytes&) = delete;
    [[nodiscard]] std::span<unsigned char> bytes() const noexcept { return bytes_; }

private:
    std::span<unsigned char> bytes_;
};

/// Runs `work` in a child and waits for its end. What it changes is its own, but for SharedBytes.
/// It must start no thread and take no lock that another thread of ours may hold now (the log's).
/// @param how what became of it, for people, if it did not end by itself.
/// @return true if it did.
[[nodiscard]] bool run_apart(const std::function<void()>& work, std::string& how);

}  // namespace millrace
