#include "persist/run_tool.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "shm/clock.h"

namespace millrace {
namespace {

constexpr std::size_t kComplaintBytesMax = 2048;
constexpr std::size_t kOutputBytesMax = 1U << 30U;

struct Pipe {
    int read = -1;
    int write = -1;
    Pipe() {
        int fds[2];
        if (::pipe2(fds, O_CLOEXEC) == 0) {
            read = fds[0];
            write = fds[1];
        }
    }
    ~Pipe() {
        shut(read);
        shut(write);
    }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;
    static void shut(int& fd) {
        if (fd >= 0) {
            ::close(fd);
            fd = -1;
        }
    }
};

/// Our environment with `variables` over it, as "NAME=VALUE".
std::vector<std::string> environment(const ToolRun& run) {
    std::vector<std::string> all;
    for (char** e = environ; *e != nullptr; ++e) {
        const std::string entry = *e;
        const std::string name = entry.substr(0, entry.find('='));
        const bool ours = std::any_of(run.variables.begin(), run.variables.end(),
                                      [&](const auto& v) { return v.first == name; });
        if (!ours) {
            all.push_back(entry);
        }
    }
    for (const auto& [name, value] : run.variables) {
        all.push_back(name + "=" + value);
    }
    return all;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> all;
    for (std::string& text : texts) {
        all.push_back(text.data());
    }
    all.push_back(nullptr);
    return all;
}

/// What is going on between us and the child.
struct Talk {
    Pipe in, out, err;
    [[nodiscard]] bool is_open() const noexcept {
        return in.read >= 0 && out.read >= 0 && err.read >= 0;
    }
    std::span<const std::byte> left;
    std::vector<std::byte> output;
    std::string complaint;
};

/// While it lives, a write to a child that has ended is an error and no signal to this thread.
class NoPipeSignal {
public:
    NoPipeSignal() {
        sigemptyset(&pipe_);
        sigaddset(&pipe_, SIGPIPE);
        ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
    }
    ~NoPipeSignal() {
        const timespec at_once{};
        while (::sigtimedwait(&pipe_, nullptr, &at_once) == SIGPIPE) {
        }
        ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }
    NoPipeSignal(const NoPipeSignal&) = delete;
    NoPipeSignal& operator=(const NoPipeSignal&) = delete;

private:
    sigset_t pipe_{};
    sigset_t before_{};
};

/// One round of reading and writing. @return false once the child has closed its output.
bool exchange(Talk& talk, int wait_ms) {
    std::array<pollfd, 3> fds{
        {{talk.out.read, POLLIN, 0}, {talk.err.read, POLLIN, 0}, {talk.in.write, POLLOUT, 0}}};
    ::poll(fds.data(), fds.size(), wait_ms);
    std::array<std::byte, 65'536> buffer;
    if (fds[2].revents != 0) {
        const ssize_t n = ::write(talk.in.write, talk.left.data(),
                                  std::min<std::size_t>(talk.left.size(), buffer.size()));
        talk.left = n > 0 ? talk.left.subspan(static_cast<std::size_t>(n)) : talk.left;
        if (talk.left.empty() || (n < 0 && errno != EAGAIN)) {
            Pipe::shut(talk.in.write);
        }
    }
    if (fds[1].revents != 0) {
        const ssize_t n = ::read(talk.err.read, buffer.data(), buffer.size());
        if (n <= 0) {
            Pipe::shut(talk.err.read);
        } else if (talk.complaint.size() < kComplaintBytesMax) {
            talk.complaint.append(reinterpret_cast<const char*>(buffer.data()),
                                  static_cast<std::size_t>(n));
        }
    }
    if (fds[0].revents != 0) {
        const ssize_t n = ::read(talk.out.read, buffer.data(), buffer.size());
        if (n <= 0 || talk.output.size() > kOutputBytesMax) {
            Pipe::shut(talk.out.read);
        } else {
            talk.output.insert(talk.output.end(), buffer.begin(), buffer.begin() + n);
        }
    }
    return talk.out.read >= 0 || talk.err.read >= 0;
}

int spawn(const ToolRun& run, const Talk& talk, pid_t& pid) {
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, talk.in.read, 0);
    posix_spawn_file_actions_adddup2(&files, talk.out.write, 1);
    posix_spawn_file_actions_adddup2(&files, talk.err.write, 2);
    std::vector<std::string> words = run.words;
    std::vector<std::string> variables = environment(run);
    const int failed = ::posix_spawnp(&pid, words[0].c_str(), &files, nullptr,
                                      pointers(words).data(), pointers(variables).data());
    posix_spawn_file_actions_destroy(&files);
    return failed;
}

/// Waits until child `pid`, which may have closed its output and stay, has ended.
/// @return false if `end` passed first. It is reaped only if it has ended.
bool await_end(pid_t pid, int& status, std::int64_t end) {
    constexpr int kNapMs = 5;  // where a kernel or a container has no pidfd
    const auto fd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
    pid_t ended = 0;
    while ((ended = ::waitpid(pid, &status, WNOHANG)) == 0) {
        const std::int64_t left_ms = (end - monotonic_ns()) / 1'000'000 + 1;
        if (left_ms <= 0) {
            break;
        }
        pollfd watch{fd, POLLIN, 0};
        const auto wait_ms = static_cast<int>(std::min<std::int64_t>(left_ms, 60'000));
        ::poll(&watch, fd >= 0 ? 1 : 0, fd >= 0 ? wait_ms : kNapMs);
    }
    if (fd >= 0) {
        ::close(fd);
    }
    return ended == pid;
}

}  // namespace

Result<std::vector<std::byte>> run_tool(const ToolRun& run, std::string& complaint) {
    ASSERT(!run.words.empty());
    Talk talk;
    talk.left = run.input;
    if (!talk.is_open()) {
        complaint = "no descriptors are left for " + run.words[0];
        return {Errc::IoError, "tool", EMFILE};
    }
    pid_t pid = -1;
    if (const int e = spawn(run, talk, pid); e != 0) {
        complaint = run.words[0] + " cannot be run";
        return {e == ENOENT ? Errc::Unsupported : Errc::IoError, "tool", e};
    }
    Pipe::shut(talk.in.read);
    Pipe::shut(talk.out.write);
    Pipe::shut(talk.err.write);
    ::fcntl(talk.in.write, F_SETFL, O_NONBLOCK);
    if (talk.left.empty()) {
        Pipe::shut(talk.in.write);
    }
    const NoPipeSignal quiet;  // from here on: the child is to have the signals as they were
    const std::int64_t end = monotonic_ns() + seconds(run.timeout_s).value;
    bool late = false;
    while (!late && exchange(talk, 100)) {
        late = monotonic_ns() >= end;
    }
    int status = 0;
    const bool ended = !late && await_end(pid, status, end);
    late = late || !ended;
    if (!ended) {
        ::kill(pid, SIGKILL);  // ours, and not reaped yet
        while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        }
    }
    complaint = talk.complaint.substr(0, kComplaintBytesMax);
    if (late) {
        return {Errc::Timeout, "tool"};
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        return {Errc::IoError, "tool"};
    }
    return std::move(talk.output);
}

}  // namespace millrace
