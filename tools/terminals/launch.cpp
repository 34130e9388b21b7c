#include "tools/terminals/launch.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "core/assert.h"
#include "tools/millrace/pid_file.h"
#include "tools/terminals/terminal_process.h"

namespace millrace::terminals {
namespace {

namespace fs = std::filesystem;

int open_output(const std::string& folder) {
    const std::string path = folder + "/" + kOutputFile;
    std::error_code none;
    const std::uintmax_t bytes = fs::file_size(path, none);
    if (!none && bytes > kOutputBytesMax) {
        std::rename(path.c_str(), (path + ".1").c_str());
    }
    return ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

void set_environment(const TerminalConfig& terminal, const std::string& folder) {
    for (const std::string& assignment : terminal.env) {
        const std::size_t at = assignment.find('=');
        ::setenv(assignment.substr(0, at).c_str(), assignment.c_str() + at + 1, 1);
    }
    ::setenv(kMark, folder.c_str(), 1);
}

int failed(const LaunchFds& fds, int status, const std::string& what) {
    ::dprintf(fds.tell, "%s: %s", what.c_str(), std::strerror(errno));
    return status;
}

}  // namespace

int launch(const TerminalConfig& terminal, const std::string& folder, LaunchFds fds) {
    // The lock too: it is given back the moment that this is the command. What a log of ours left
    // open is none of a terminal's business.
    ASSERT(fds.lock >= 3);
    ASSERT(fds.tell >= 3);
    for (const int fd : {fds.lock, fds.tell}) {
        ::fcntl(fd, F_SETFD, FD_CLOEXEC);  // also where the kernel does not know the next
    }
    ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    if (!write_pid_file(folder)) {
        return failed(fds, kNotBegun, folder + "/" + kPidFile);
    }
    if (::chdir(terminal.cwd.c_str()) != 0) {
        return failed(fds, kNotBegun, terminal.cwd);
    }
    const int output = open_output(folder);
    const int input = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (output < 0 || input < 0) {
        return failed(fds, kNotBegun, folder + "/" + kOutputFile);
    }
    ::dup2(input, STDIN_FILENO);
    ::dup2(output, STDOUT_FILENO);
    ::dup2(output, STDERR_FILENO);
    set_environment(terminal, folder);
    std::vector<char*> arguments;
    for (const std::string& argument : terminal.command) {
        arguments.push_back(const_cast<char*>(argument.c_str()));
    }
    arguments.push_back(nullptr);
    // spawn() holds these back for programs of ours that know when they can take them.
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::execvp(arguments[0], arguments.data());
    return failed(fds, kCannotRun, terminal.command[0]);
}

}  // namespace millrace::terminals
