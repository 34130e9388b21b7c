// millrace-ticks: takes the ticks that terminals stream on sockets of their own, keeps the latest
// of each symbol in shared memory and records all of them. `millrace up` starts it, as it starts
// executors; its death stops no stage, and what was missed meanwhile is back-filled.
//
//   terminals ─▶ TickServer ─▶ latest-tick table              (this thread, never blocks)
//                    ├────────▶ TickPublisher ─▶ consumers    (the same)
//                    │               ▲ HistoryReader ◀─────┐  (a thread of its own)
//                    └─ ring ─▶ Recorder ─────────────▶ tick log          (another)
#include "gateway/ticks/tick_publisher.h"
#include "shm/clock.h"
#include "shm/role.h"
#include "tools/millrace/config.h"
#include "tools/millrace/log.h"
#include "tools/millrace/pid_file.h"
#include "tools/millrace/stages.h"
#include "tools/millrace/tick_config.h"
#include "tools/ticks/history_reader.h"
#include "tools/ticks/recorder_thread.h"

#include <CLI/CLI.hpp>

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

namespace {

using namespace millrace;

/// The longest between two rounds: heartbeats and silences are looked at.
constexpr int kNapMs = 5;

/// What the server tells, to those who are there.
class Both final : public TickSink {
public:
    Both(TickSink* recorder, TickPublisher* publisher)
        : recorder_{recorder}, publisher_{publisher} {}

    void on_feed(std::uint64_t feed, bool up) override {
        if (recorder_ != nullptr) {
            recorder_->on_feed(feed, up);
        }
    }
    void on_symbol(const FeedSymbol& s) override {
        if (recorder_ != nullptr) {
            recorder_->on_symbol(s);
        }
    }
    void on_tick(const FeedTick& t) override {
        if (recorder_ != nullptr) {
            recorder_->on_tick(t);
        }
    }
    void on_latest(std::uint32_t row, const FeedTick& t, Nanos) override {
        if (publisher_ != nullptr) {
            publisher_->publish(row, t.symbol,
                                {row, 0, t.seq, t.time.value, t.bid.value, t.ask.value});
        }
    }
    void on_history(std::uint64_t request, const FeedTick& t) override {
        if (recorder_ != nullptr) {
            recorder_->on_history(request, t);
        }
    }
    void on_history_end(std::uint64_t feed, std::uint64_t request, bool more,
                        bool from_start) override {
        if (recorder_ != nullptr) {
            recorder_->on_history_end(feed, request, more, from_start);
        }
    }
    void on_refused(std::uint64_t feed, std::string_view name) override {
        log_warn("ticks: account " + std::to_string(feed) + ": ticks of " + std::string{name} +
                 " are not taken: without prefix and suffix its name is that of another symbol");
    }

private:
    TickSink* recorder_;
    TickPublisher* publisher_;
};

int open_stop_fd() {
    sigset_t signals;
    ::sigemptyset(&signals);
    ::sigaddset(&signals, SIGTERM);
    ::sigaddset(&signals, SIGINT);
    ::sigprocmask(SIG_BLOCK, &signals, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
    return ::signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
}

/// Where the record shares the journal's file system it leaves that its last room.
std::uint64_t floor_of(const Config& config, const std::string& dir) {
    struct stat journal{};
    struct stat record{};
    const bool shared = ::stat(config.journal.dir.c_str(), &journal) == 0 &&
                        ::stat(dir.c_str(), &record) == 0 && journal.st_dev == record.st_dev;
    return shared ? std::uint64_t{config.journal.free_floor_mib} << 20U : 0;
}

Result<std::unique_ptr<ticklog::Recorder>> open_record(const Config& config,
                                                       const TickConfig& ticks) {
    std::error_code none;  // a folder that cannot be made is told by open()
    std::filesystem::create_directories(ticks.dir, none);
    std::vector<std::string> told;
    auto recorder = ticklog::Recorder::open({.directory = ticks.dir,
                                             .keep_h = ticks.keep_h,
                                             .free_floor_bytes = floor_of(config, ticks.dir)},
                                            Nanos{wall_ns()}, told);
    for (const std::string& text : told) {
        log_info("ticks: " + text);
    }
    return recorder;
}

/// @param config and @param ticks outlive it.
std::unique_ptr<RecorderThread> start_recorder(const Config& config, const TickConfig& ticks) {
    return std::make_unique<RecorderThread>(
        [&config, &ticks] { return open_record(config, ticks); },
        [&ticks](const std::string& text) { log_warn("ticks: " + ticks.dir + ": " + text); },
        [] { ::_exit(log_stop(kExitStageFailed)); });
}

TickServerOptions server_options(const Config& config, const TickConfig& ticks) {
    TickServerOptions options;
    options.listen.address = ticks.listen.address;
    options.listen.port = ticks.listen.port;
    options.table_path = tick_table_path(config.name);
    options.symbols_max = ticks.symbols_max;
    for (const AccountConfig& a : config.accounts) {
        options.accounts.push_back({a.login, a.key, a.symbol_prefix, a.symbol_suffix});
    }
    return options;
}

/// @param history outlives it; null: there is no record to ask for.
/// @return null with a line in the log if it cannot listen.
std::unique_ptr<TickPublisher> start_publisher(const TickConfig& ticks, TickHistory* history) {
    TickPublisherOptions options;
    options.history = history;
    options.listen.address = ticks.distribution.address;
    options.listen.port = ticks.distribution.port;
    for (const TickConsumerConfig& c : ticks.consumers) {
        options.consumers.push_back({c.name, c.key});
    }
    std::string message;
    auto publisher = TickPublisher::open(std::move(options), message);
    if (!publisher) {
        log_error("ticks: distribution: " + message);
        return nullptr;
    }
    log_info("ticks to consumers on " + ticks.distribution.address + ":" +
             std::to_string(publisher.value()->port()));
    return std::move(publisher).value();
}

int serve(const Config& config, int stop_fd) {
    const TickConfig ticks = ticks_of(config);
    // So that the next `millrace up` finds the process that runs.
    if (!write_pid_file(ticks_folder(config.journal.dir))) {
        log_warn("ticks: cannot write the pid file");
    }
    const auto recorder = ticks.record ? start_recorder(config, ticks) : nullptr;
    const auto history =
        ticks.record && ticks.distribute ? std::make_unique<HistoryReader>(ticks.dir) : nullptr;
    const auto publisher = ticks.distribute ? start_publisher(ticks, history.get()) : nullptr;
    if (ticks.distribute && publisher == nullptr) {
        return kExitError;
    }
    std::string message;
    Both sink{recorder.get(), publisher.get()};
    auto server = TickServer::open(server_options(config, ticks), sink, message);
    if (!server) {
        log_error("ticks: " + message);
        return kExitError;
    }
    log_info("ticks on " + ticks.listen.address + ":" + std::to_string(server.value()->port()));
    const Clock clock{wall_ns() - monotonic_ns()};
    pollfd wait[3] = {{stop_fd, POLLIN, 0},
                      {server.value()->wake_fd(), POLLIN, 0},
                      {publisher ? publisher->wake_fd() : -1, POLLIN, 0}};
    while ((wait[0].revents & POLLIN) == 0) {
        const int done = server.value()->step(clock.now());
        if (publisher) {
            publisher->step(clock.now());
        }
        ::poll(wait, done == 0 ? 3 : 1, done == 0 ? kNapMs : 0);
        if (recorder) {
            recorder->ask_next(*server.value());
        }
    }
    return kExitOk;
}

int run(const Config& config, int stop_fd) {
    std::string message;
    if (!log_start(config.log, "ticks", message)) {
        log_warn(message);
    }
    std::error_code none;  // a folder that cannot be made is noticed when it is written to
    std::filesystem::create_directories(ticks_folder(config.journal.dir), none);
    std::string holder;
    const auto role = RoleLock::try_acquire(config.journal.dir, "ticks", holder);
    int code = role.code() == Errc::NotOwner ? kExitRoleHeld : kExitError;
    if (role) {
        code = serve(config, stop_fd);
    } else {
        log_error("ticks: " + (role.code() == Errc::NotOwner ? "taken by " + holder + " already"
                                                             : "cannot lock the role"));
    }
    return log_stop(code);
}

}  // namespace

int main(int argc, char** argv) {
    const int stop_fd = open_stop_fd();  // before any thread is made
    CLI::App app{"Takes, keeps and records the ticks that terminals stream"};
    std::string file;
    std::string checked;
    app.add_option("-c,--config", file, "the pipeline's configuration")->required();
    app.add_option("--checked", checked, "a copy of the configuration as it was when checked");
    CLI11_PARSE(app, argc, argv);
    std::vector<Mistake> mistakes;
    const Config config = read_config(file, mistakes, nullptr, checked);
    for (const Mistake& m : mistakes) {
        std::fprintf(stderr, "ticks: %s\n", to_string(m).c_str());
    }
    return mistakes.empty() ? run(config, stop_fd) : static_cast<int>(kExitBadConfig);
}
