// The process of one terminal: started so that it outlives us, found again by those who come after
// us, and ended with all that it left behind.
//
// A terminal is seldom one process: `xvfb-run wine terminal64.exe` is a shell, a display, a loader
// and the terminal. The command gets a session of its own (setsid) and a mark in its environment;
// whoever has both is part of it. It is over when all of them are: a second terminal of an account
// beside a first one would be refused by the Expert Advisor's lock, and never get ready.
#pragma once

#include "tools/millrace/process.h"

#include <string>
#include <utility>
#include <vector>

namespace millrace::terminals {

/// In a terminal's environment: its folder, where the command's process has left its pid file
/// (tools/millrace/pid_file.h) before it became the command.
inline constexpr const char* kMark = "MILLRACE_TERMINAL";

enum class Launched : std::uint8_t {
    Started,
    Adopted,  // it ran already
    NotYet,   // somebody else is starting it, or what an earlier one left behind is being ended
    Failed,
};

/// Closes itself.
struct Descriptor {
    int fd = -1;
    Descriptor() = default;
    explicit Descriptor(int opened) noexcept : fd{opened} {}
    ~Descriptor() { reset(); }
    Descriptor(Descriptor&& o) noexcept : fd{std::exchange(o.fd, -1)} {}
    Descriptor& operator=(Descriptor&& o) noexcept {
        if (this != &o) {
            reset(std::exchange(o.fd, -1));
        }
        return *this;
    }
    void reset(int other = -1) noexcept;
};

/// Threads: one.
class TerminalProcess {
public:
    /// @param folder absolute; made if it is not there.
    explicit TerminalProcess(std::string folder) : folder_{std::move(folder)} {}

    /// Takes over the one that runs, if any.
    [[nodiscard]] bool adopt();
    /// Takes over the one that runs, or starts one.
    /// @param launcher program and arguments that call launch() (launch.h); the options for its
    /// LaunchFds are added.
    /// @param message why it Failed. Never waits: the command is run by a process of its own.
    [[nodiscard]] Launched start(std::vector<std::string> launcher, std::string& message);

    /// Is any of it alive? Once the command's own process has ended the rest is killed.
    [[nodiscard]] bool runs();
    /// SIGTERM to the command's own process: a script may have its own way to end a terminal.
    void ask_to_end() const;
    /// SIGKILL to all of it.
    void kill() const;

    [[nodiscard]] int pid() const noexcept { return watch_.id().pid; }
    /// How the last one ended, as far as is known.
    [[nodiscard]] const std::string& last_end() const noexcept { return last_end_; }
    /// It ended before it was the command, by no fault of the command's; last_end() says why.
    [[nodiscard]] bool never_began() const noexcept { return never_began_; }

private:
    void reap();

    std::string folder_;
    ProcessWatch watch_;  // the command's own process
    bool ours_ = false;   // our child: it leaves a wait status
    int session_ = 0;     // that may have members still
    Descriptor told_;     // our end of the launcher's pipe
    std::string last_end_;
    bool never_began_ = false;
};

/// Kills every process of session `session` that has the mark of `folder`. A pid that changed hands
/// meanwhile is not hit. @return how many there were.
int kill_session(int session, const std::string& folder);

}  // namespace millrace::terminals
