// The terminal as `inspect top` needs it: keys one by one, a screen of its own, everything put
// back at the end, also after a signal that ends, stops or crashes this process.
#pragma once

#include <string>

namespace millrace::inspect {

enum class Key { None, Leave, Resize, Char, Up, Down, Enter, Escape };

struct KeyPress {
    Key key = Key::None;
    char c = 0;  // Char
};

class Terminal {
public:
    /// Takes stdin and stdout over, if they are a terminal. One at a time in a process.
    Terminal();
    ~Terminal();
    Terminal(const Terminal&) = delete;
    Terminal& operator=(const Terminal&) = delete;

    /// Waits for a key or a signal, at most `wait_ms`. Leave: Ctrl-C, SIGTERM, SIGHUP, SIGQUIT, or
    /// stdin has ended. SIGTSTP gives the terminal back, stops, and goes on with Resize.
    [[nodiscard]] KeyPress wait(int wait_ms);

    [[nodiscard]] bool interactive() const noexcept { return interactive_; }
    [[nodiscard]] unsigned columns() const noexcept;
    [[nodiscard]] unsigned lines() const noexcept;

private:
    [[nodiscard]] KeyPress on_signal();
    [[nodiscard]] KeyPress read_key();

    bool interactive_ = false;
    int signals_ = -1;   // signalfd
    std::string typed_;  // and not handed out yet
};

}  // namespace millrace::inspect
