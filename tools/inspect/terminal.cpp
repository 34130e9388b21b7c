#include "tools/inspect/terminal.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

namespace millrace::inspect {
namespace {

constexpr unsigned kColumns = 80;  // where the terminal does not tell
constexpr unsigned kLines = 24;

sigset_t leaving_signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    return set;
}

winsize window() noexcept {
    winsize size{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) {
        return {};
    }
    return size;
}

}  // namespace

Terminal::Terminal() {
    const sigset_t set = leaving_signals();
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
    signals_ = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    interactive_ = ::isatty(STDIN_FILENO) != 0 && ::isatty(STDOUT_FILENO) != 0 &&
                   ::tcgetattr(STDIN_FILENO, &before_) == 0;
    if (!interactive_) {
        return;
    }
    termios raw = before_;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    std::fputs("\x1b[?1049h\x1b[?25l", stdout);  // other screen, no cursor
    std::fflush(stdout);
}

Terminal::~Terminal() {
    if (interactive_) {
        std::fputs("\x1b[?25h\x1b[?1049l", stdout);
        std::fflush(stdout);
        ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
    }
    if (signals_ >= 0) {
        // Taken from the queue, or unblocking it would kill us after all.
        signalfd_siginfo pending{};
        while (::read(signals_, &pending, sizeof pending) > 0) {
        }
        ::close(signals_);
    }
    const sigset_t set = leaving_signals();
    ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

bool Terminal::wants_out(int wait_ms) {
    // Keys only from a terminal: a script's stdin is not ours to read.
    pollfd fds[2] = {{signals_, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
    if (::poll(fds, interactive_ ? 2 : 1, wait_ms) <= 0) {
        return false;
    }
    if (fds[0].revents != 0) {
        return true;
    }
    char key = 0;
    const ssize_t n = ::read(STDIN_FILENO, &key, 1);
    return n <= 0 || key == 'q' || key == 'Q' || key == 3;
}

unsigned Terminal::columns() const noexcept {
    const unsigned n = window().ws_col;
    return n == 0 ? kColumns : n;
}
unsigned Terminal::lines() const noexcept {
    const unsigned n = window().ws_row;
    return n == 0 ? kLines : n;
}

}  // namespace millrace::inspect
