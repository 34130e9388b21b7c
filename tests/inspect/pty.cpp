#include "tests/inspect/pty.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <chrono>
#include <csignal>

namespace millrace::inspect {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kPatience{10};

winsize size_of(unsigned columns, unsigned lines) {
    winsize w{};
    w.ws_col = static_cast<unsigned short>(columns);
    w.ws_row = static_cast<unsigned short>(lines);
    return w;
}

}  // namespace

void Screen::resize(unsigned columns, unsigned lines) {
    columns_ = columns;
    lines_.assign(lines, "");
    row_ = column_ = 0;
    overflowed_ = false;
}

void Screen::put(char c) {
    if (column_ >= columns_) {
        overflowed_ = true;
        return;
    }
    std::string& line = lines_[row_];
    line.resize(std::max(line.size(), column_ + 1), ' ');
    line[column_++] = c;
}

void Screen::escape(char final, const std::string& parameters) {
    if (final == 'H') {
        row_ = column_ = 0;
    } else if (final == 'K') {
        lines_[row_].resize(std::min(lines_[row_].size(), column_));
    } else if (final == 'J') {
        lines_[row_].resize(std::min(lines_[row_].size(), column_));
        for (std::size_t i = row_ + 1; i < lines_.size(); ++i) {
            lines_[i].clear();
        }
    } else if (final == 'h' && parameters == "?1049") {
        resize(columns_, static_cast<unsigned>(lines_.size()));
    }
}

void Screen::feed(const std::string& bytes) {
    pending_ += bytes;
    std::size_t at = 0;
    for (; at < pending_.size(); ++at) {
        const char c = pending_[at];
        if (c == '\x1b') {
            const std::size_t end = pending_.find_first_of(
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", at + 1);
            if (end == std::string::npos) {
                break;  // the rest is on its way
            }
            escape(pending_[end], pending_.substr(at + 2, end - at - 2));
            at = end;
        } else if (c == '\n') {
            overflowed_ = overflowed_ || row_ + 1 >= lines_.size();
            row_ = std::min(row_ + 1, lines_.size() - 1);
        } else if (c == '\r') {
            column_ = 0;
        } else {
            put(c);
        }
    }
    pending_.erase(0, at);
}

std::string Screen::text() const {
    std::string out;
    for (const std::string& line : lines_) {
        out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
    }
    return out;
}

bool Screen::has(const std::string& part) const {
    return text().find(part) != std::string::npos;
}

Pty::Pty(const std::function<int()>& program) {
    winsize size = size_of(80, 24);
    const pid_t parent = ::getpid();
    pid_ = ::forkpty(&fd_, nullptr, nullptr, &size);
    if (pid_ == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(::getppid() == parent ? program() : 99);
    }
}

Pty::~Pty() {
    if (!ended_ && pid_ > 0) {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    ::close(fd_);
}

void Pty::type(const std::string& keys) const {
    if (::write(fd_, keys.data(), keys.size()) < 0) {
        ::perror("pty");
    }
}

void Pty::resize(unsigned columns, unsigned lines) {
    screen.resize(columns, lines);
    const winsize size = size_of(columns, lines);
    ::ioctl(fd_, TIOCSWINSZ, &size);
}

void Pty::send(int signal) const {
    ::kill(pid_, signal);
}

bool Pty::read_some(int wait_ms) {
    pollfd fd{fd_, POLLIN, 0};
    char text[4096];
    if (::poll(&fd, 1, wait_ms) <= 0) {
        return false;
    }
    const ssize_t n = ::read(fd_, text, sizeof text);
    if (n <= 0) {
        return false;
    }
    raw.append(text, static_cast<std::size_t>(n));
    screen.feed({text, static_cast<std::size_t>(n)});
    return true;
}

bool Pty::wait_for(const std::function<bool(const Screen&)>& seen) {
    const auto deadline = Clock::now() + kPatience;
    while (!seen(screen)) {
        if (Clock::now() > deadline) {
            return false;
        }
        read_some(100);
    }
    return true;
}

bool Pty::wait_for(const std::string& part) {
    return wait_for([&](const Screen& s) { return s.has(part); });
}

int Pty::wait_end() {
    const auto deadline = Clock::now() + kPatience;
    int status = 0;
    while (::waitpid(pid_, &status, WNOHANG) != pid_) {
        if (Clock::now() > deadline) {
            return -1;
        }
        read_some(20);
    }
    ended_ = true;
    while (read_some(0)) {
    }
    return status;
}

bool Pty::wait_stopped() const {
    int status = 0;
    return ::waitpid(pid_, &status, WUNTRACED) == pid_ && WIFSTOPPED(status);
}

bool Pty::terminal_is_normal() const {
    termios now{};
    return ::tcgetattr(fd_, &now) == 0 && (now.c_lflag & ECHO) != 0 && (now.c_lflag & ICANON) != 0;
}

}  // namespace millrace::inspect
