// A program under a pseudo terminal, and as much of a terminal as it takes to know what is seen.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

namespace millrace::inspect {

/// The screen of a terminal: text, cursor home, clear to end of line and screen, colours ignored.
class Screen {
public:
    void resize(unsigned columns, unsigned lines);
    void feed(const std::string& bytes);
    [[nodiscard]] std::string text() const;  // lines without trailing blanks
    [[nodiscard]] bool has(const std::string& part) const;
    [[nodiscard]] bool overflowed() const noexcept { return overflowed_; }  // wrapped or scrolled

private:
    void escape(char final, const std::string& parameters);
    void put(char c);

    unsigned columns_ = 80;
    std::vector<std::string> lines_ = std::vector<std::string>(24);
    std::size_t row_ = 0;
    std::size_t column_ = 0;
    std::string pending_;
    bool overflowed_ = false;
};

/// Runs `program` in a child whose terminal is 80x24, in a session of its own.
class Pty {
public:
    explicit Pty(const std::function<int()>& program);
    ~Pty();
    Pty(const Pty&) = delete;
    Pty& operator=(const Pty&) = delete;

    void type(const std::string& keys) const;
    void resize(unsigned columns, unsigned lines);
    void send(int signal) const;
    /// Reads until `seen` holds, at most ten seconds.
    bool wait_for(const std::function<bool(const Screen&)>& seen);
    bool wait_for(const std::string& part);
    /// Reads until the program has ended. @return its wait status, -1 after ten seconds.
    int wait_end();
    /// Waits until the program is stopped by a signal.
    bool wait_stopped() const;
    /// Echo and line editing are on: the terminal is as it was before.
    [[nodiscard]] bool terminal_is_normal() const;

    Screen screen;
    std::string raw;  // all that was written

private:
    bool read_some(int wait_ms);

    int fd_ = -1;
    pid_t pid_ = -1;
    bool ended_ = false;
};

}  // namespace millrace::inspect
