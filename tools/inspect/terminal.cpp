#include "tools/inspect/terminal.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <iterator>

namespace millrace::inspect {
namespace {

constexpr unsigned kColumns = 80;  // where the terminal does not tell
constexpr unsigned kLines = 24;
constexpr int kHeard[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH};
constexpr int kCrashes[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};

// For the crash handler, which may use nothing but what is here and system calls.
termios before{};
struct sigaction crash_before[sizeof kCrashes / sizeof kCrashes[0]];

sigset_t heard_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int s : kHeard) {
        sigaddset(&set, s);
    }
    return set;
}

void put(const char* text) noexcept {
    // A terminal that is gone cannot be put right; there is nobody to tell either.
    if (::write(STDOUT_FILENO, text, std::strlen(text)) < 0) {
        return;
    }
}

void enter() noexcept {
    termios raw = before;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    put("\x1b[?1049h\x1b[?25l");  // other screen, no cursor
}

/// Async-signal-safe.
void leave() noexcept {
    put("\x1b[?25h\x1b[?1049l");
    ::tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

void on_crash(int signal) {
    leave();
    ::signal(signal, SIG_DFL);
    ::raise(signal);
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
    const sigset_t set = heard_signals();
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
    signals_ = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    interactive_ = ::isatty(STDIN_FILENO) != 0 && ::isatty(STDOUT_FILENO) != 0 &&
                   ::tcgetattr(STDIN_FILENO, &before) == 0;
    if (!interactive_) {
        return;
    }
    // A segment that is cut while it is looked at ends in SIGBUS: with the screen put right.
    struct sigaction crash{};
    crash.sa_handler = on_crash;
    for (std::size_t i = 0; i < std::size(kCrashes); ++i) {
        ::sigaction(kCrashes[i], &crash, &crash_before[i]);
    }
    enter();
}

Terminal::~Terminal() {
    if (interactive_) {
        leave();
        for (std::size_t i = 0; i < std::size(kCrashes); ++i) {
            ::sigaction(kCrashes[i], &crash_before[i], nullptr);
        }
    }
    if (signals_ >= 0) {
        // Taken from the queue, or unblocking it would kill us after all.
        signalfd_siginfo pending{};
        while (::read(signals_, &pending, sizeof pending) > 0) {
        }
        ::close(signals_);
    }
    const sigset_t set = heard_signals();
    ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

KeyPress Terminal::wait(int wait_ms) {
    if (!typed_.empty()) {
        return read_key();
    }
    // Keys only from a terminal: a script's stdin is not ours to read.
    pollfd fds[2] = {{signals_, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
    if (::poll(fds, interactive_ ? 2 : 1, wait_ms) <= 0) {
        return {};
    }
    return fds[0].revents != 0 ? on_signal() : read_key();
}

KeyPress Terminal::on_signal() {
    signalfd_siginfo what{};
    if (::read(signals_, &what, sizeof what) != sizeof what) {
        return {};
    }
    if (what.ssi_signo == SIGWINCH) {
        return {Key::Resize};
    }
    if (what.ssi_signo != SIGTSTP) {
        return {Key::Leave};
    }
    if (interactive_) {
        leave();
    }
    ::raise(SIGSTOP);
    if (interactive_) {
        enter();
    }
    return {Key::Resize};
}

KeyPress Terminal::read_key() {
    if (typed_.empty()) {
        char text[64];
        const ssize_t n = ::read(STDIN_FILENO, text, sizeof text);
        if (n <= 0) {
            return {Key::Leave};
        }
        typed_.assign(text, static_cast<std::size_t>(n));
    }
    // An arrow comes in one piece: ESC [ A or ESC O A.
    const bool arrow =
        typed_.size() >= 3 && typed_[0] == '\x1b' && (typed_[1] == '[' || typed_[1] == 'O');
    const char c = arrow ? typed_[2] : typed_[0];
    typed_.erase(0, arrow ? 3 : 1);
    if (arrow) {
        return {c == 'A' ? Key::Up : c == 'B' ? Key::Down : Key::None};
    }
    switch (c) {
        case 3: return {Key::Leave};
        case '\x1b': return {Key::Escape};
        case '\n':
        case '\r': return {Key::Enter};
        default: return {Key::Char, c};
    }
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
