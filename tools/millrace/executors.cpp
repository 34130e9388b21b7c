#include "tools/millrace/executors.h"

#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <filesystem>

#include "tools/millrace/fix_config.h"
#include "tools/millrace/log.h"
#include "tools/millrace/pid_file.h"
#include "tools/millrace/terminal_config.h"
#include "tools/millrace/tick_config.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;

constexpr Nanos kStopPatience = seconds(5);
/// One that ran that long died of something new: it starts again at once.
constexpr std::int64_t kHealthyNs = 60'000'000'000;

/// Beside this program, or in the folder beside its own where the build puts it.
std::string find_program(const char* name, const char* folder) {
    std::error_code none;
    const fs::path here = fs::read_symlink("/proc/self/exe", none).parent_path();
    const fs::path built = here.parent_path() / folder / name;
    return (fs::exists(here / name, none) ? here / name : built).string();
}

/// How long millrace-terminals may take to end its terminals, and itself.
Nanos patience_of(const TerminalsConfig& config) {
    std::uint32_t longest_s = 0;
    for (const TerminalConfig& t : config.terminals) {
        longest_s = std::max(longest_s, t.keep ? 0 : t.stop_s);
    }
    return seconds(longest_s) + kStopPatience;
}

}  // namespace

Executors::Executors(const Segment& segment, const Config& config, std::string checked_text)
    : segment_{segment}, config_{config}, checked_text_{std::move(checked_text)} {
    const std::string fix = find_program("millrace-fix", "fix");
    for (const FixConfig& f : fix_accounts(config)) {
        add("fix " + f.account_name, executor_folder(config, f.account_name), fix,
            {"-a", f.account_name});
        executors_.back().alert = "the account does not trade";
    }
    const TerminalsConfig terminals = terminals_of(config);
    if (!terminals.terminals.empty()) {
        add("terminals", terminals_folder(config.journal.dir),
            find_program("millrace-terminals", "terminals"), {});
        executors_.back().alert = "terminals that die are not started again";
        executors_.back().stop_patience = patience_of(terminals);
    }
    if (ticks_of(config).enabled) {
        add("ticks", ticks_folder(config.journal.dir), find_program("millrace-ticks", "ticks"), {});
        executors_.back().alert = "no ticks are streamed; trading goes on with the bridge's quotes";
    }
    strangers_ = find_left(config.journal.dir);
    std::erase_if(strangers_, [this](const Executor& left) {
        return std::any_of(executors_.begin(), executors_.end(),
                           [&](const Executor& e) { return e.folder == left.folder; });
    });
}

void Executors::add(const std::string& name, const std::string& folder, const std::string& program,
                    const std::vector<std::string>& options) {
    std::vector<std::string> command{program, "-c", config_.file};
    command.insert(command.end(), options.begin(), options.end());
    if (!checked_text_.empty()) {
        command.insert(command.end(), {"--checked", checked_text_});
    }
    executors_.push_back({.name = name,
                          .folder = folder,
                          .command = std::move(command),
                          .alert = {},
                          .stop_patience = kStopPatience,
                          .policy = RestartPolicy{config_.restart},
                          .watch = {}});
}

bool Executors::adopt(Executor& e) {
    const ProcessId id = read_pid_file(e.folder);
    if (id.pid <= 0) {
        return false;
    }
    auto watch = ProcessWatch::open(id);
    if (!watch || watch.value().dead()) {
        return false;
    }
    e.watch = std::move(watch).value();
    e.ours = false;
    return true;
}

void Executors::start(Executor& e) {
    e.started_ns = monotonic_ns();
    if (adopt(e)) {
        log_info(e.name + ": adopted pid " + std::to_string(e.watch.id().pid));
        return;
    }
    std::string message;
    const auto id = spawn(e.command, message);
    auto watch = id ? ProcessWatch::open(id.value()) : Result<ProcessWatch>{id.error()};
    if (!watch) {
        if (id) {  // no descriptor is left for it: unwatched it must not trade
            ::kill(id.value().pid, SIGKILL);
            ::waitpid(id.value().pid, nullptr, 0);
        }
        const Nanos wait = e.policy.after_death(false);
        e.start_at_ns = e.started_ns + wait.value;
        log_error(e.name + ": cannot start " + e.command[0] + ": " +
                  (message.empty() ? watch.error().what : message));
        return;
    }
    e.watch = std::move(watch).value();
    e.ours = true;
    log_info(e.name + ": started, pid " + std::to_string(id.value().pid));
}

void Executors::on_end(Executor& e) {
    const int pid = e.watch.id().pid;
    int status = 0;
    const bool known = e.ours && ::waitpid(pid, &status, 0) == pid;
    e.watch.reset();
    const std::int64_t now = monotonic_ns();
    const Nanos wait = e.policy.after_death(now - e.started_ns > kHealthyNs);
    e.start_at_ns = now + wait.value;
    log_warn(e.name + " (pid " + std::to_string(pid) + ") " +
             (known ? describe_wait_status(status) : "ended") + "; starts again in " +
             std::to_string(wait.value / 1'000'000) + " ms");
    if (e.policy.fruitless() == kAlertAfter) {
        log_error("ALERT " + e.name + " does not stay up: " + e.alert);
        segment_.report_error(e.name, "does not stay up: " + e.alert + "; see the log");
    }
}

/// Nobody's any more: a FIX session of an account that was taken out, ticks that were switched off.
void Executors::end_strangers() {
    std::erase_if(strangers_, [](const Executor& e) { return e.watch.dead(); });
    const std::int64_t now = monotonic_ns();
    for (Executor& e : strangers_) {
        const bool asked = e.started_ns != 0;
        if (asked && now - e.started_ns < e.stop_patience.value) {
            continue;
        }
        log_warn(e.name + " (pid " + std::to_string(e.watch.id().pid) + ") " +
                 (asked ? "does not end; killed" : "is not configured any more; asked to end"));
        e.watch.send(asked ? SIGKILL : SIGTERM);
        e.started_ns = now;
    }
}

void Executors::turn() {
    end_strangers();
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
    end(strangers_);
    end(executors_);
}

/// Those of a journal that run, whoever has started them.
std::vector<Executors::Executor> Executors::find_left(const std::string& journal_dir) {
    std::vector<Executor> left;
    const auto look = [&left](const std::string& name, const std::string& folder, Nanos patience) {
        Executor e{.name = name,
                   .folder = folder,
                   .command = {},
                   .alert = {},
                   .stop_patience = patience,
                   .watch = {}};
        if (adopt(e)) {
            left.push_back(std::move(e));
        }
    };
    std::error_code none;
    for (const auto& entry : fs::directory_iterator{journal_dir + "/fix", none}) {
        look("fix " + entry.path().filename().string(), entry.path().string(), kStopPatience);
    }
    look("terminals", terminals_folder(journal_dir), seconds(kTerminalStopSMax) + kStopPatience);
    look("ticks", ticks_folder(journal_dir), kStopPatience);
    return left;
}

std::vector<Executors::Left> Executors::end_left(const std::string& journal_dir) {
    std::vector<Executor> left = find_left(journal_dir);
    std::vector<Left> told;
    for (const Executor& e : left) {
        told.push_back({e.name + " (pid " + std::to_string(e.watch.id().pid) + ")", false});
    }
    end(left);
    for (std::size_t i = 0; i < left.size(); ++i) {
        told[i].ended = left[i].watch.empty();
    }
    return told;
}

void Executors::end(std::vector<Executor>& executors) {
    for (Executor& e : executors) {
        e.watch.send(SIGTERM);
    }
    const auto wait_all = [&executors](bool asked) {
        const std::int64_t begin = monotonic_ns();
        for (Executor& e : executors) {
            const std::int64_t until = begin + (asked ? e.stop_patience : kStopPatience).value;
            const Nanos left{std::max<std::int64_t>(0, until - monotonic_ns())};
            if (!e.watch.empty() && e.watch.wait_dead(left)) {
                if (e.ours) {
                    ::waitpid(e.watch.id().pid, nullptr, 0);
                }
                e.watch.reset();
            }
        }
    };
    wait_all(true);
    for (const Executor& e : executors) {
        if (!e.watch.empty()) {
            log_warn(e.name + " does not end; killed");
            e.watch.send(SIGKILL);
        }
    }
    wait_all(false);  // one that waits for a disk does not even die
}

}  // namespace millrace
