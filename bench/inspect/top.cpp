#include "bench/inspect/top.h"

#include "tools/inspect/inspect.h"

#include <pty.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

namespace millrace::bench {

Top::Top(const std::string& segment_path) {
    winsize size{};
    size.ws_col = 80;
    size.ws_row = 24;
    const pid_t parent = ::getpid();
    pid_ = ::forkpty(&terminal_, nullptr, nullptr, &size);
    if (pid_ < 0) {
        std::perror("bench_inspect: no pseudo terminal");
        std::exit(1);
    }
    if (pid_ == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        ::setenv("TERM", "xterm-256color", 1);
        const char* argv[] = {"inspect", "top", segment_path.c_str(), "--interval-ms", "100"};
        ::_exit(::getppid() == parent ? inspect_main(5, argv) : 1);
    }
    // A terminal that nobody reads would stop it. Ends when the last one that writes is gone.
    reader_ = std::thread{[this] {
        char text[65536];
        for (ssize_t n = 0; (n = ::read(terminal_, text, sizeof text)) > 0;) {
            bytes_.fetch_add(static_cast<std::uint64_t>(n));
        }
    }};
    run(false);
}

Top::~Top() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    reader_.join();
    ::close(terminal_);
}

void Top::run(bool on) const {
    ::kill(pid_, on ? SIGCONT : SIGSTOP);
}

}  // namespace millrace::bench
