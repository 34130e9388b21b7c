#include "tools/terminals/terminal_process.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "shm/role.h"
#include "tools/millrace/pid_file.h"
#include "tools/terminals/launch.h"

namespace millrace::terminals {
namespace {

namespace fs = std::filesystem;

std::string read_all(const std::string& path) {
    std::ifstream in{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, std::istreambuf_iterator<char>{}};
}

/// @return 0 if there is no such process, or only its zombie.
int session_of(int pid) {
    const std::string text = read_all("/proc/" + std::to_string(pid) + "/stat");
    // The name is in parentheses and may hold any sign: "STATE PPID PGRP SESSION" follow the last.
    const std::size_t name_end = text.rfind(')');
    if (name_end == std::string::npos) {
        return 0;
    }
    std::istringstream rest{text.substr(name_end + 1)};
    char state = 0;
    int parent = 0;
    int group = 0;
    int session = 0;
    rest >> state >> parent >> group >> session;
    return state == 'Z' || state == 'X' ? 0 : session;
}

bool has_mark(int pid, const std::string& folder) {
    const std::string wanted = std::string{kMark} + "=" + folder;
    std::istringstream environment{read_all("/proc/" + std::to_string(pid) + "/environ")};
    for (std::string line; std::getline(environment, line, '\0');) {
        if (line == wanted) {
            return true;
        }
    }
    return false;
}

/// What is there to be read now.
std::string read_now(int fd) {
    char text[512];
    const ssize_t n = fd < 0 ? 0 : ::read(fd, text, sizeof text);
    return {text, n > 0 ? static_cast<std::size_t>(n) : 0};
}

}  // namespace

void Descriptor::reset(int other) noexcept {
    if (fd >= 0) {
        ::close(fd);
    }
    fd = other;
}

int kill_session(int session, const std::string& folder) {
    int found = 0;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator{"/proc", none}) {
        const std::string name = entry.path().filename();
        int pid = 0;
        const auto parsed = std::from_chars(name.data(), name.data() + name.size(), pid);
        if (parsed.ec != std::errc{} || session_of(pid) != session) {
            continue;
        }
        const auto watch = ProcessWatch::open({pid, process_start_time(pid)});
        // Looked at again now that the process is held: it is the one that will be hit.
        if (watch && session_of(pid) == session && has_mark(pid, folder)) {
            watch.value().send(SIGKILL);
            ++found;
        }
    }
    return found;
}

bool TerminalProcess::adopt() {
    const ProcessId id = read_pid_file(folder_);
    if (id.pid <= 0) {
        return false;
    }
    auto watch = ProcessWatch::open(id);
    if (!watch || watch.value().dead()) {
        return false;
    }
    watch_ = std::move(watch).value();
    session_ = id.pid;
    ours_ = false;
    never_began_ = false;
    return true;
}

Launched TerminalProcess::start(std::vector<std::string> launcher, std::string& message) {
    std::error_code none;  // a folder that cannot be made is noticed by its first file
    fs::create_directories(folder_, none);
    // Held from here until the launcher has written its pid and become the command, also by it: a
    // death of ours in between leaves no terminal that nobody knows of.
    const Descriptor lock{
        ::open((folder_ + "/launch.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
    if (lock.fd < 0) {
        message = folder_ + "/launch.lock: " + std::strerror(errno);
        return Launched::Failed;
    }
    if (::flock(lock.fd, LOCK_EX | LOCK_NB) != 0) {
        return Launched::NotYet;
    }
    if (adopt()) {
        return Launched::Adopted;
    }
    const int earlier = read_pid_file(folder_).pid;
    if (earlier > 0 && kill_session(earlier, folder_) > 0) {
        return Launched::NotYet;
    }
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
        message = std::string{"pipe: "} + std::strerror(errno);
        return Launched::Failed;
    }
    told_.reset(ends[0]);
    const Descriptor tell{ends[1]};
    for (const int fd : {lock.fd, tell.fd}) {
        ::fcntl(fd, F_SETFD, 0);
    }
    launcher.insert(launcher.end(),
                    {"--lock-fd", std::to_string(lock.fd), "--tell-fd", std::to_string(tell.fd)});
    const auto id = spawn(launcher, message);
    for (const int fd : {lock.fd, tell.fd}) {
        ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    if (!id) {
        return Launched::Failed;
    }
    auto watch = ProcessWatch::open(id.value());
    if (!watch) {  // no descriptor is left for it: nobody would notice its end
        ::kill(id.value().pid, SIGKILL);
        ::waitpid(id.value().pid, nullptr, 0);
        message = watch.error().what;
        return Launched::Failed;
    }
    watch_ = std::move(watch).value();
    session_ = id.value().pid;
    ours_ = true;
    never_began_ = false;
    return Launched::Started;
}

void TerminalProcess::reap() {
    int status = 0;
    const bool known = ours_ && ::waitpid(pid(), &status, 0) == pid();
    last_end_ = known ? describe_wait_status(status) : "ended";
    // Whatever is in the pipe was said before it was the command.
    const std::string told = known ? read_now(told_.fd) : std::string{};
    never_began_ = !told.empty() && WIFEXITED(status) && WEXITSTATUS(status) == kNotBegun;
    if (!told.empty()) {
        last_end_ = "cannot start: " + told;
    }
    told_.reset();
    watch_.reset();
}

bool TerminalProcess::runs() {
    if (!watch_.empty() && !watch_.dead()) {
        return true;
    }
    if (!watch_.empty()) {
        reap();
    }
    if (session_ > 0 && kill_session(session_, folder_) == 0) {
        session_ = 0;
    }
    return session_ > 0;
}

void TerminalProcess::ask_to_end() const {
    watch_.send(SIGTERM);
}

void TerminalProcess::kill() const {
    if (!watch_.empty()) {
        watch_.send(SIGKILL);
    }
    if (session_ > 0) {
        (void)kill_session(session_, folder_);
    }
}

}  // namespace millrace::terminals
