// A process that owns a role.
#pragma once

#include "shm/role.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>

namespace millrace::inspect {

/// A process that holds the lock of `role` until it is killed.
class Owner {
public:
    Owner(const std::string& journal_dir, const std::string& role) {
        int ready[2];
        EXPECT_EQ(::pipe(ready), 0);
        pid_ = ::fork();
        if (pid_ == 0) {
            ::setsid();
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            std::string holder;
            const auto lock = RoleLock::try_acquire(journal_dir, role, holder);
            const char said = lock ? 'y' : 'n';
            const bool told = ::write(ready[1], &said, 1) == 1;
            while (told) {
                ::pause();
            }
            ::_exit(1);
        }
        char said = 0;
        EXPECT_EQ(::read(ready[0], &said, 1), 1);
        EXPECT_EQ(said, 'y');
        ::close(ready[0]);
        ::close(ready[1]);
    }
    Owner(const Owner&) = delete;
    Owner& operator=(const Owner&) = delete;
    ~Owner() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }

private:
    pid_t pid_ = -1;
};

}  // namespace millrace::inspect
