#include "tools/millrace/apart.h"

#include "tools/millrace/process.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

namespace millrace {

SharedBytes::SharedBytes(std::size_t bytes) {
    void* at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at != MAP_FAILED) {
        bytes_ = {static_cast<unsigned char*>(at), bytes};
    }
}

SharedBytes::~SharedBytes() {
    if (!bytes_.empty()) {
        ::munmap(bytes_.data(), bytes_.size());
    }
}

bool run_apart(const std::function<void()>& work, std::string& how) {
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != parent) {
            ::_exit(1);
        }
        ::signal(SIGABRT, SIG_DFL);  // a handler of ours would tell of it as of an engine's end
        const rlimit no_core{0, 0};
        ::setrlimit(RLIMIT_CORE, &no_core);
        work();
        ::_exit(0);
    }
    if (pid < 0) {
        how = std::string{"fork: "} + std::strerror(errno);
        return false;
    }
    int status = 0;
    pid_t ended = 0;
    do {
        ended = ::waitpid(pid, &status, 0);
    } while (ended < 0 && errno == EINTR);
    if (ended == pid && status == 0) {
        return true;
    }
    how =
        ended == pid ? describe_wait_status(status) : std::string{"wait: "} + std::strerror(errno);
    return false;
}

}  // namespace millrace
