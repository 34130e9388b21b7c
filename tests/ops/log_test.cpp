// Goal: who reads the log may stop for as long as he likes: nobody waits for him, no ALERT is lost
// for other lines, and the log says where lines are missing and how many. Method: a child process
// whose log goes into a pipe that is full; the pipe is read when the child has written everything.
#include "tools/millrace/log.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <regex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace millrace {
namespace {

constexpr int kLines = 5000;  // more than the queue has places
constexpr int kAlertEach = 100;
constexpr int kStatus = 42;

/// A pipe that takes nothing more until it is read.
struct FullPipe {
    FullPipe() {
        EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
        const int bytes = ::fcntl(ends[1], F_SETPIPE_SZ, 4096);
        EXPECT_GT(bytes, 0);
        const std::vector<char> filler(static_cast<std::size_t>(bytes), '.');
        EXPECT_EQ(::write(ends[1], filler.data(), filler.size()), bytes);
    }
    ~FullPipe() {
        ::close(ends[0]);
        ::close(ends[1]);
    }
    int ends[2] = {-1, -1};
};

/// In the child. Says on `out` when everything is logged, waits for the word on `go`, and ends.
[[noreturn]] void write_a_log(const FullPipe& log, int out, int go) {
    ::setsid();
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::dup2(log.ends[1], STDERR_FILENO);
    std::string message;
    log_start(LogConfig{}, "child", message);
    for (int i = 1; i <= kLines; ++i) {
        log_info("line " + std::to_string(i) + ".");
        if (i % kAlertEach == 0) {
            log_error("journal: ALERT " + std::to_string(i) + ".");
        }
    }
    char word = 'x';
    (void)!::write(out, &word, 1);
    (void)!::read(go, &word, 1);
    std::_Exit(log_stop(kStatus));
}

std::string read_until(int fd, const std::string& end) {
    std::string text;
    char bytes[4096];
    while (end.empty() || text.find(end) == std::string::npos) {
        const ssize_t n = ::read(fd, bytes, sizeof bytes);
        if (n <= 0) {
            break;
        }
        text.append(bytes, static_cast<std::size_t>(n));
    }
    return text;
}

class LogOfASlowReader : public ::testing::Test {
protected:
    void SetUp() override {
        ASSERT_EQ(::pipe2(out_, O_CLOEXEC), 0);
        ASSERT_EQ(::pipe2(go_, O_CLOEXEC), 0);
        child_ = ::fork();
        if (child_ == 0) {
            write_a_log(log_, out_[1], go_[0]);
        }
        ASSERT_GT(child_, 0);
        char word = 0;
        ASSERT_EQ(::read(out_[0], &word, 1), 1);  // that it comes shows that nobody waited
    }
    int let_it_end() {
        EXPECT_EQ(::write(go_[1], "x", 1), 1);
        int status = -1;
        EXPECT_EQ(::waitpid(child_, &status, 0), child_);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    FullPipe log_;
    int out_[2] = {-1, -1};
    int go_[2] = {-1, -1};
    pid_t child_ = 0;
};

TEST_F(LogOfASlowReader, HasEveryAlertAndSaysHowManyLinesAreMissing) {
    const std::string last = "line " + std::to_string(kLines) + ".";
    std::string text = read_until(log_.ends[0], last);
    EXPECT_EQ(let_it_end(), kStatus);
    ::close(std::exchange(log_.ends[1], -1));
    text += read_until(log_.ends[0], "");
    int lines = 0;
    for (int i = 1; i <= kLines; ++i) {
        lines += text.find("line " + std::to_string(i) + ".") != std::string::npos ? 1 : 0;
        if (i % kAlertEach == 0) {
            EXPECT_NE(text.find("ALERT " + std::to_string(i) + "."), std::string::npos) << i;
        }
    }
    const std::regex missing{"child: (\\d+) lines are missing here"};
    int said = 0;
    for (std::sregex_iterator m{text.begin(), text.end(), missing}, end; m != end; ++m) {
        said += std::stoi((*m)[1]);
    }
    EXPECT_GT(said, 0) << "its reader kept up: this proves nothing";
    EXPECT_EQ(lines + said, kLines);
}

TEST_F(LogOfASlowReader, DoesNotKeepItsProcessFromEndingWithItsStatus) {
    EXPECT_EQ(let_it_end(), kStatus);  // and nobody has read a line
}

/// In the child: ends its log while another thread writes to it, and ends when that thread has
/// written after the end.
[[noreturn]] void end_a_log_that_another_thread_writes() {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::dup2(::open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
    std::string message;
    log_start(LogConfig{}, "child", message);
    std::atomic<std::uint64_t> written{0};
    std::thread other{[&written] {
        while (true) {
            log_info("a line");
            log_error("journal: ALERT another");
            ++written;
        }
    }};
    const auto more = [&written] {
        for (const std::uint64_t before = written; written < before + 2;) {
            std::this_thread::yield();
        }
    };
    more();
    const int status = log_stop(kStatus);
    more();
    std::_Exit(status);
}

TEST(LogAtTheEnd, OutlivesAThreadThatStillWritesToIt) {
    const pid_t child = ::fork();
    if (child == 0) {
        end_a_log_that_another_thread_writes();
    }
    ASSERT_GT(child, 0);
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status)) << "killed by signal " << WTERMSIG(status);
    EXPECT_EQ(WEXITSTATUS(status), kStatus);
}

}  // namespace
}  // namespace millrace
