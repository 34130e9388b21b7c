// Processes: starting them, and proof that they are dead (DESIGN rule 5).
#pragma once

#include "core/result.h"
#include "core/types.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace millrace {

/// A process that cannot be mistaken for a later one with the same pid.
struct ProcessId {
    int pid = 0;
    std::uint64_t start_time = 0;  // field 22 of /proc/PID/stat
    [[nodiscard]] bool alive() const noexcept;
    /// Stopped by a signal or held by a debugger.
    [[nodiscard]] bool stopped() const noexcept;
    friend bool operator==(const ProcessId&, const ProcessId&) = default;
};

/// A hold on one process by pidfd: readable when it is dead, and a signal can hit no other.
class ProcessWatch {
public:
    ProcessWatch() = default;
    ~ProcessWatch() { reset(); }
    ProcessWatch(ProcessWatch&& o) noexcept
        : fd_{std::exchange(o.fd_, -1)}, id_{std::exchange(o.id_, {})} {}
    ProcessWatch& operator=(ProcessWatch&& o) noexcept;

    /// @return NotFound if that process is gone (or the pid is another's by now); Unsupported if
    /// the kernel has no pidfd.
    static Result<ProcessWatch> open(ProcessId id);

    /// True once it has ended (a zombie too). Proof, not a guess.
    [[nodiscard]] bool dead() const noexcept;
    /// Waits for its end. @return false if `timeout` passed first.
    [[nodiscard]] bool wait_dead(Nanos timeout) const noexcept;
    void send(int signal) const noexcept;
    [[nodiscard]] int fd() const noexcept { return fd_; }
    [[nodiscard]] ProcessId id() const noexcept { return id_; }
    [[nodiscard]] bool empty() const noexcept { return fd_ < 0; }
    void reset() noexcept;

private:
    int fd_ = -1;
    ProcessId id_;
};

/// Starts `arguments[0]` in a session of its own (a Ctrl-C at our terminal does not reach it) with
/// default signals; SIGTERM and SIGINT are held back until it unblocks them, so that a stop meets
/// a stage that knows how to drain, however young. @return IoError with errno; `message` names the
/// file.
/// @param crash_point armed in it alone (core/crash_point.h); empty = our environment as it is.
[[nodiscard]] Result<ProcessId> spawn(const std::vector<std::string>& arguments,
                                      std::string& message, const std::string& crash_point = "");

/// What a wait status means: "exit status 3", "killed by signal 9 (Killed)".
[[nodiscard]] std::string describe_wait_status(int status);

}  // namespace millrace
