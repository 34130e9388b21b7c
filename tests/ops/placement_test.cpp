// Goal: a stage runs on the CPU that it was given, whoever takes its place; the log is JSON if that
// is asked for, and for people otherwise. Method: the real executable; the kernel's word in /proc
// for where a thread may run, a JSON library and a pseudo-terminal for the log.
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <thread>
#include <utility>
#include <vector>

#include "tests/ops/pipeline_fixture.h"

namespace millrace {
namespace {

using test::eventually;
using test::pid_of;
using test::Pipeline;
using test::runs;

constexpr StageId kAll[] = {StageId::Engine,  StageId::Broker, StageId::Journal,
                            StageId::Replica, StageId::Sqlite, StageId::Ingress};

std::vector<int> usable() {
    cpu_set_t set;
    CPU_ZERO(&set);
    EXPECT_EQ(::sched_getaffinity(0, sizeof set, &set), 0);
    std::vector<int> cpus;
    for (int i = 0; i < CPU_SETSIZE; ++i) {
        if (CPU_ISSET(i, &set)) {
            cpus.push_back(i);
        }
    }
    return cpus;
}

/// Where the thread of this stage may run, in the kernel's words: "0", "0-3".
std::string allowed(const Segment& segment, StageId id) {
    const auto tid = segment.stage(id).tid.load(std::memory_order_relaxed);
    std::ifstream status{"/proc/" + std::to_string(tid) + "/status"};
    const std::string key = "Cpus_allowed_list:\t";
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with(key)) {
            return line.substr(key.size());
        }
    }
    return "no thread " + std::to_string(tid);
}

class Pinned : public ::testing::Test {
protected:
    /// Every other stage on one of two CPUs; engine and replica are not on the same.
    void up(const std::vector<std::string>& options) {
        const std::vector<int> cpus = usable();
        if (cpus.size() < 2) {
            GTEST_SKIP() << "SKIPPED: one CPU only; NOT TESTED HERE: pinning";
        }
        std::string stages;
        for (std::size_t i = 0; i < std::size(kAll); ++i) {
            cpu_[kAll[i]] = std::to_string(cpus[i % 2]);
            stages += (i == 0 ? "\"" : ", \"") + std::string{stage_name(kAll[i])} +
                      "\": {\"cpu\": " + cpu_[kAll[i]] + "}";
        }
        pipeline_.write_config(", \"placement\": {\"stages\": {" + stages + "}}");
        pipeline_.up("up.log", options);
        ASSERT_TRUE(pipeline_.wait_running()) << pipeline_.log();
    }
    void expect_pinned(const Segment& s) {
        for (const StageId id : kAll) {
            EXPECT_EQ(allowed(s, id), cpu_[id]) << stage_name(id);
        }
    }
    void stop() {
        ::kill(pipeline_.supervisor(), SIGTERM);
        EXPECT_EQ(pipeline_.wait_supervisor(), 0);
    }
    Pipeline pipeline_;
    std::map<StageId, std::string> cpu_;
};

TEST_F(Pinned, AreStagesAndWhoTakesOverAsTheEngineIsPinnedAsTheEngineIs) {
    up({});
    if (IsSkipped()) {
        return;
    }
    const Segment s = pipeline_.attach();
    expect_pinned(s);
    ASSERT_NE(cpu_[StageId::Engine], cpu_[StageId::Replica]);
    const int engine = pid_of(s, StageId::Engine);
    ::kill(engine, SIGKILL);
    // Who took over leaves his entry as the replica to the next spare.
    ASSERT_TRUE(eventually([&] {
        const int heir = pid_of(s, StageId::Engine);
        return heir != engine && pid_of(s, StageId::Replica) != heir;
    }));
    ASSERT_TRUE(pipeline_.wait_running());
    expect_pinned(s);
    stop();
}

TEST_F(Pinned, AreStagesThatAreThreadsOfOneProcess) {
    up({"--threads"});
    if (IsSkipped()) {
        return;
    }
    const Segment s = pipeline_.attach();
    EXPECT_EQ(pid_of(s, StageId::Engine), pid_of(s, StageId::Broker));
    expect_pinned(s);
    stop();
}

TEST(Log, IsOneJsonObjectALineWithItsFieldsByName) {
    Pipeline p;
    p.write_config(", \"log\": {\"format\": \"json\"}");
    p.up();
    ASSERT_TRUE(p.wait_running()) << p.log();
    ::kill(p.supervisor(), SIGTERM);
    EXPECT_EQ(p.wait_supervisor(), 0);
    const std::regex stamp{R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)"};
    const std::set<std::string> levels{"debug", "info", "warning", "error"};
    std::set<std::string> processes;
    std::string texts;
    std::istringstream log{p.log()};
    for (std::string line; std::getline(log, line);) {
        const auto entry = nlohmann::json::parse(line, nullptr, false);
        ASSERT_TRUE(entry.is_object()) << line;
        EXPECT_TRUE(std::regex_match(entry.value("time", ""), stamp)) << line;
        EXPECT_TRUE(levels.contains(entry.value("level", ""))) << line;
        EXPECT_GT(entry.value("pid", 0), 0) << line;
        processes.insert(entry.value("process", ""));
        texts += entry.value("text", "") + "\n";
    }
    for (const char* process : {"up", "journal", "broker", "ingress", "sqlite"}) {
        EXPECT_TRUE(processes.contains(process)) << process;
    }
    EXPECT_NE(texts.find("stopped clean"), std::string::npos) << texts;
}

/// A terminal: what is written to path() can be read here.
class Terminal {
public:
    Terminal() : fd_{::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)} {
        char name[128];
        if (fd_ < 0 || ::grantpt(fd_) != 0 || ::unlockpt(fd_) != 0 ||
            ::ptsname_r(fd_, name, sizeof name) != 0) {
            why_not_ = std::strerror(errno);
            return;
        }
        path_ = name;
        // Held open: without a writer reading ends.
        slave_ = ::open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (slave_ < 0) {
            why_not_ = path_ + ": " + std::strerror(errno);
            return;
        }
        reader_ = std::thread{[this] {
            char bytes[1024];
            for (ssize_t n = 1; n > 0;) {
                n = ::read(fd_, bytes, sizeof bytes);
                text_.append(bytes, n > 0 ? static_cast<std::size_t>(n) : 0);
            }
        }};
    }
    ~Terminal() {
        (void)text();
        for (const int fd : {slave_, fd_}) {
            if (fd >= 0) {
                ::close(fd);
            }
        }
    }
    Terminal(const Terminal&) = delete;
    Terminal& operator=(const Terminal&) = delete;
    /// Why there is none (a container without devpts); empty if there is.
    [[nodiscard]] const std::string& why_not() const { return why_not_; }
    [[nodiscard]] const std::string& path() const { return path_; }
    /// All that was written, once every other writer has closed it.
    const std::string& text() {
        if (reader_.joinable()) {
            ::close(std::exchange(slave_, -1));
            reader_.join();
        }
        return text_;
    }

private:
    int fd_;
    int slave_ = -1;
    std::string path_;
    std::string why_not_;
    std::thread reader_;
    std::string text_;
};

TEST(Log, OfAReaderThatHasStoppedHoldsUpNeitherTheStartNorARestartNorTheEnd) {
    Pipeline p;
    const std::string path = p.dir() / "pipe";
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    const int reader = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    const int bytes = ::fcntl(reader, F_SETPIPE_SZ, 4096);
    ASSERT_GT(bytes, 0) << std::strerror(errno);
    const std::string filler(static_cast<std::size_t>(bytes), '.');
    ASSERT_EQ(::write(reader, filler.data(), filler.size()), bytes);  // full from the beginning
    p.up("pipe");
    ASSERT_TRUE(p.wait_running());
    const Segment s = p.attach();
    for (const StageId id : {StageId::Broker, StageId::Ingress}) {
        const int victim = pid_of(s, id);
        ::kill(victim, SIGKILL);
        EXPECT_TRUE(eventually([&] { return pid_of(s, id) != victim && runs(s, id); }))
            << stage_name(id);
    }
    ::kill(p.supervisor(), SIGTERM);
    EXPECT_EQ(p.wait_supervisor(), 0);
    std::string unread(filler.size() + 1, ' ');
    EXPECT_EQ(::read(reader, unread.data(), unread.size()), bytes) << "it was read meanwhile";
    EXPECT_EQ(unread.substr(0, filler.size()), filler) << "this proves nothing";
    ::close(reader);
}

TEST(Log, IsForPeopleOnATerminal) {
    Terminal terminal;
    if (!terminal.why_not().empty()) {
        GTEST_SKIP() << "SKIPPED: no pseudo-terminal: " << terminal.why_not()
                     << "; NOT TESTED HERE: the log on a terminal";
    }
    Pipeline p;
    std::filesystem::create_symlink(terminal.path(), p.dir() / "terminal");
    ::setenv("TERM", "xterm", 1);
    p.up("terminal");
    ASSERT_TRUE(p.wait_running());
    ::kill(p.supervisor(), SIGTERM);
    EXPECT_EQ(p.wait_supervisor(), 0);
    const std::string& text = terminal.text();
    const std::regex line{
        "\\d\\d:\\d\\d:\\d\\d\\.\\d{3} \x1b\\[[0-9;]*minfo *\x1b\\[[0-9;]*m up: made "
        "segment"};
    EXPECT_TRUE(std::regex_search(text, line)) << text;
    EXPECT_EQ(text.find("{\""), std::string::npos) << text;
}

}  // namespace
}  // namespace millrace
