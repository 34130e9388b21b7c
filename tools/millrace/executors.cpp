#include "tools/millrace/executors.h"

#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "tools/millrace/fix_config.h"
#include "tools/millrace/log.h"
#include "tools/millrace/stages.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;

constexpr Nanos kStopPatience = seconds(5);
/// One that ran that long died of something new: it starts again at once.
constexpr std::int64_t kHealthyNs = 60'000'000'000;

/// Beside this program, or where the build puts it.
std::string find_program() {
    std::error_code none;
    const fs::path here = fs::read_symlink("/proc/self/exe", none).parent_path();
    const fs::path built = here.parent_path() / "fix" / "millrace-fix";
    return (fs::exists(here / "millrace-fix", none) ? here / "millrace-fix" : built).string();
}

}  // namespace

Executors::Executors(const Segment& segment, const Config& config, std::string checked_text)
    : segment_{segment},
      config_{config},
      checked_text_{std::move(checked_text)},
      program_{find_program()} {
    for (const FixConfig& f : fix_accounts(config)) {
        executors_.push_back({f.account_name, RestartPolicy{config.restart}, {}, false, 0, 0});
    }
}

bool Executors::adopt(Executor& e) const {
    std::ifstream file{executor_folder(config_, e.account) + "/pid"};
    ProcessId id;
    if (!(file >> id.pid >> id.start_time)) {
        return false;
    }
    auto watch = ProcessWatch::open(id);
    if (!watch || watch.value().dead()) {
        return false;
    }
    e.watch = std::move(watch).value();
    e.ours = false;
    log_info("fix " + e.account + ": adopted pid " + std::to_string(id.pid));
    return true;
}

void Executors::start(Executor& e) {
    e.started_ns = monotonic_ns();
    if (adopt(e)) {
        return;
    }
    std::vector<std::string> arguments{program_, "-c", config_.file, "-a", e.account};
    if (!checked_text_.empty()) {
        arguments.insert(arguments.end(), {"--checked", checked_text_});
    }
    std::string message;
    const auto id = spawn(arguments, message);
    auto watch = id ? ProcessWatch::open(id.value()) : Result<ProcessWatch>{id.error()};
    if (!watch) {
        if (id) {  // no descriptor is left for it: unwatched it must not trade
            ::kill(id.value().pid, SIGKILL);
            ::waitpid(id.value().pid, nullptr, 0);
        }
        const Nanos wait = e.policy.after_death(false);
        e.start_at_ns = e.started_ns + wait.value;
        log_error("fix " + e.account + ": cannot start " + program_ + ": " +
                  (message.empty() ? watch.error().what : message));
        return;
    }
    e.watch = std::move(watch).value();
    e.ours = true;
    log_info("fix " + e.account + ": started, pid " + std::to_string(id.value().pid));
}

void Executors::on_end(Executor& e) {
    const int pid = e.watch.id().pid;
    int status = 0;
    const bool known = e.ours && ::waitpid(pid, &status, 0) == pid;
    e.watch.reset();
    const std::int64_t now = monotonic_ns();
    const Nanos wait = e.policy.after_death(now - e.started_ns > kHealthyNs);
    e.start_at_ns = now + wait.value;
    log_warn("fix " + e.account + " (pid " + std::to_string(pid) + ") " +
             (known ? describe_wait_status(status) : "ended") + "; starts again in " +
             std::to_string(wait.value / 1'000'000) + " ms");
    if (e.policy.fruitless() == kAlertAfter) {
        log_error("ALERT fix " + e.account + " does not stay up: the account does not trade");
        segment_.report_error("fix " + e.account, "its executor does not stay up; see the log");
    }
}

void Executors::turn() {
    for (Executor& e : executors_) {
        if (!e.watch.empty() && e.watch.dead()) {
            on_end(e);
        }
        if (e.watch.empty() && monotonic_ns() >= e.start_at_ns) {
            start(e);
        }
    }
}

void Executors::stop() {
    for (Executor& e : executors_) {
        e.watch.send(SIGTERM);
    }
    const auto wait_all = [this](Nanos patience) {
        const std::int64_t until = monotonic_ns() + patience.value;
        for (Executor& e : executors_) {
            const Nanos left{std::max<std::int64_t>(0, until - monotonic_ns())};
            if (!e.watch.empty() && e.watch.wait_dead(left)) {
                if (e.ours) {
                    ::waitpid(e.watch.id().pid, nullptr, 0);
                }
                e.watch.reset();
            }
        }
    };
    wait_all(kStopPatience);
    for (const Executor& e : executors_) {
        if (!e.watch.empty()) {
            log_warn("fix " + e.account + " does not end; killed");
            e.watch.send(SIGKILL);
        }
    }
    wait_all(kStopPatience);  // one that waits for a disk does not even die
}

}  // namespace millrace
