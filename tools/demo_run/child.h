// Child: a process that the demo started, its output in a log file.
#pragma once

#include "core/result.h"
#include "core/types.h"

#include <string>
#include <utility>
#include <vector>

namespace millrace::demo {

/// Threads: one at a time. Destroying a running child kills it: nothing is left behind.
class Child {
public:
    Child() = default;
    ~Child();
    Child(Child&& other) noexcept : pid_{std::exchange(other.pid_, 0)}, status_{other.status_} {}
    Child& operator=(Child&& other) noexcept;

    /// Starts `arguments[0]`, standard output and error appended to `log_path`.
    /// @return IoError with errno; `message` names the file that is to blame.
    [[nodiscard]] static Result<Child> spawn(const std::vector<std::string>& arguments,
                                             const std::string& log_path, std::string& message);

    [[nodiscard]] int pid() const noexcept { return pid_; }
    /// False once it has ended (then reaped; status() says how) or was never started.
    [[nodiscard]] bool running() noexcept;
    /// Waits for its end. @return false if `timeout` passed first.
    [[nodiscard]] bool wait(Nanos timeout) noexcept;
    void signal(int number) const noexcept;
    /// Wait status of the end.
    [[nodiscard]] int status() const noexcept { return status_; }
    /// "exit status 3", "killed by signal 9".
    [[nodiscard]] std::string how_it_ended() const;

private:
    int pid_ = 0;
    int status_ = 0;
};

/// Adopts what our children leave behind (stages outlive their supervisor), so that it can be
/// ended.
void become_subreaper() noexcept;
/// Ends every child and adopted grandchild that is still there. For the very end. Bounded: 5 s.
void end_descendants() noexcept;

/// The last lines of a log file, for an error message.
[[nodiscard]] std::string tail_of(const std::string& path, std::size_t lines_max);

}  // namespace millrace::demo
