// The terminal as `inspect top` needs it: keys one by one, a screen of its own, everything put
// back at the end, also after a signal.
#pragma once

#include <termios.h>

namespace millrace::inspect {

class Terminal {
public:
    /// Takes stdin and stdout over, if they are a terminal.
    Terminal();
    ~Terminal();
    Terminal(const Terminal&) = delete;
    Terminal& operator=(const Terminal&) = delete;

    /// Waits for a key or a signal, at most `wait_ms`.
    /// @return true if the user wants to leave: q, Ctrl-C, SIGTERM, or stdin has ended.
    [[nodiscard]] bool wants_out(int wait_ms);

    [[nodiscard]] bool interactive() const noexcept { return interactive_; }
    [[nodiscard]] unsigned columns() const noexcept;
    [[nodiscard]] unsigned lines() const noexcept;

private:
    bool interactive_ = false;
    int signals_ = -1;   // signalfd
    termios before_{};
};

}  // namespace millrace::inspect
