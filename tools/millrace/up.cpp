// `millrace up`: from a configuration file to a running pipeline, and back to nothing.
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <memory>
#include <utility>

#include "shm/doorbell.h"
#include "shm/role.h"
#include "tools/millrace/config_check.h"
#include "tools/millrace/executors.h"
#include "tools/millrace/log.h"
#include "tools/millrace/lost_journal.h"
#include "tools/millrace/second_check.h"
#include "tools/millrace/second_config.h"
#include "tools/millrace/start_check.h"
#include "tools/millrace/start_watch.h"
#include "tools/millrace/startup.h"
#include "tools/millrace/supervisor.h"

namespace millrace {
namespace {

sigset_t stop_signals() {
    sigset_t set;
    ::sigemptyset(&set);
    ::sigaddset(&set, SIGTERM);
    ::sigaddset(&set, SIGINT);
    return set;
}

int open_stop_fd() {
    const sigset_t set = stop_signals();
    return ::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

bool stop_asked(int stop_fd) {
    signalfd_siginfo info{};
    if (::read(stop_fd, &info, sizeof info) != ssize_t{sizeof info}) {
        return false;
    }
    log_info(std::string{"stopping: "} + ::strsignal(static_cast<int>(info.ssi_signo)) +
             " from pid " + std::to_string(info.ssi_pid));
    return true;
}

void enter_in_table(const Segment& segment, std::int64_t executed_ns) {
    StageEntry& e = segment.stage(StageId::Supervisor);
    e.pid.store(static_cast<std::uint32_t>(::getpid()), std::memory_order_relaxed);
    e.start_time.store(process_start_time(::getpid()), std::memory_order_relaxed);
    e.last_exit.store(0, std::memory_order_relaxed);
    e.generation.fetch_add(1, std::memory_order_relaxed);
    e.started_ns.store(executed_ns + segment.header().clock_anchor_ns, std::memory_order_relaxed);
    e.running_ns.store(0, std::memory_order_relaxed);
    e.state.store(static_cast<std::uint32_t>(StageState::Running), std::memory_order_relaxed);
}

/// Leaves word in the stage table and the error log, where `millrace down` finds it: it is not our
/// parent and gets no status. @return the exit status.
int finish(const Config& config, const Segment& segment, const std::vector<std::string>& unclean) {
    const int code = unclean.empty() ? kExitOk : kExitNotClean;
    for (const std::string& what : unclean) {
        segment.report_error("supervisor", "not stopped clean: " + what);
    }
    StageEntry& self = segment.stage(StageId::Supervisor);
    self.last_exit.store(static_cast<std::uint32_t>(code) << 8U, std::memory_order_relaxed);
    // Release: pairs with the acquire in `down`: who sees the end sees how it was.
    self.state.store(static_cast<std::uint32_t>(StageState::Stopped), std::memory_order_release);
    if (!unclean.empty()) {
        log_error("stopped, not clean: " + config.segment_path() +
                  " is kept, the next `millrace up` goes on from it");
        return code;
    }
    ::unlink(config.segment_path().c_str());
    log_info("stopped clean: everything is in the journal; removed " + config.segment_path());
    return code;
}

/// The files that operator commands lock, made while the disk answers: a kill cannot make them
/// when it does not.
void make_operator_locks(const std::string& journal_dir) {
    for (const char* role : {"admin", "admin.broker"}) {
        std::string holder;
        const auto made = RoleLock::try_acquire(journal_dir, role, holder);
        if (!made && made.code() != Errc::NotOwner) {
            log_warn("cannot make " + journal_dir + "/locks/" + role +
                     ".lock: " + std::strerror(made.error().sys_errno));
        }
    }
}

/// Keeps the text that was checked. @return where; empty if it cannot be kept (a full disk under a
/// pipeline that lives): then the stages read the file.
std::string keep_checked_text(const Config& config, bool created) {
    std::string message;
    const std::string path = checked_config_path(config.journal.dir);
    if (!replace_file(path, config.text, 0600, message)) {
        log_warn(message + "; a stage that is restarted reads " + config.file);
        if (created) {
            ::unlink(path.c_str());  // of a pipeline that is no more
        }
        return {};
    }
    return path;
}

/// Ends the process. Without destructors: a thread that waits for a store that does not answer
/// (lost_journal.h) uses libraries that those would take away under it.
[[noreturn]] void end_refused(const std::string& why) {
    log_error(why);
    ::_exit(log_stop(kExitError));
}

int run(const Config& config, SupervisorOptions options, std::unique_ptr<StartWatch> watch) {
    std::string message;
    IdBook ids;
    watch->at("reading ids.json in " + config.journal.dir);
    auto records = prepare_records(config, ids, message);
    if (!records) {
        log_error(message);
        return kExitError;
    }
    bool created = false;
    watch->at("preparing " + config.segment_path());
    auto segment = prepare_segment(config, ids, created, message);
    if (!segment) {
        log_error(message);
        return kExitError;
    }
    Segment& s = segment.value();
    // Relaxed: whether the engine is asked a question more orders nothing.
    const std::uint64_t engine_has = s.core().config_hash.load(std::memory_order_relaxed);
    // In a segment that is there too: its engine would end again and again at the first record.
    watch->at("reading the log in " + config.journal.dir);
    const LogCheck log = check_log(config, records.value(), engine_has);
    std::string refused = log.refused;
    if (refused.empty() && created && log.whole) {
        refused = journal_is_older_copy(config, log.end);
    }
    if (refused.empty() && !created) {
        refused = changed_under_terminals(config, ids, s, log);
    }
    watch->at("writing to " + config.journal.dir);
    if (refused.empty() && log.has_not_begun(s)) {
        refused = begin_log(config);
    }
    if (!refused.empty()) {
        if (created) {
            ::unlink(config.segment_path().c_str());
        }
        end_refused(refused);
    }
    log_info((created ? "made segment " : "attached to segment ") + config.segment_path() + ", " +
             std::to_string(s.header().total_bytes >> 20U) + " MiB");
    if (const std::string later = needs_new_segment(config, s); !later.empty()) {
        log_warn("these settings take effect after a clean stop: " + later);
    }
    const int stop_fd = open_stop_fd();
    enter_in_table(s, options.executed_ns);
    options.checked_text = keep_checked_text(config, created);
    watch.reset();
    Supervisor supervisor{s, config, ids, records.value(), options};
    supervisor.begin();
    // From here on it deals with deaths: from its exec until now it took to be there (again).
    s.stage(StageId::Supervisor).running_ns.store(s.clock().now().value, std::memory_order_relaxed);
    log_info("signals on " + config.signals.address + ":" + std::to_string(config.signals.port) +
             ", terminals on " + config.bridge.address + ":" + std::to_string(config.bridge.port));
    Executors executors{s, config, options.checked_text};
    while (!stop_asked(stop_fd)) {
        executors.turn();
        supervisor.turn(millis(100), stop_fd);
    }
    const std::vector<std::string> unclean = supervisor.stop();
    executors.stop();
    const int code = finish(config, s, unclean);
    if (supervisor.housekeeper_stuck()) {
        log_error("this process (pid " + std::to_string(::getpid()) +
                  ") ends when the disk answers its housekeeper; nothing else is left to do");
        ::_exit(log_stop(code));
    }
    ::close(stop_fd);
    return code;
}

}  // namespace

void block_stop_signals() {
    const sigset_t set = stop_signals();
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

int supervise(const Config& config, const SupervisorOptions& options) {
    ::signal(SIGPIPE, SIG_IGN);
    ::signal(SIGXFSZ, SIG_IGN);
    doorbell_setup();
    std::string message;
    auto watch = std::make_unique<StartWatch>([](const std::string& text) { log_warn(text); });
    const bool goes_on = ::access(config.segment_path().c_str(), F_OK) == 0;
    watch->at("looking for a journal in " + config.journal.dir);
    const StoresPatience patience{kStoresAnswerMax, seconds(options.stores_wait_s)};
    if (const std::string lost = options.begin_anew ? "" : journal_may_be_lost(config, patience);
        !lost.empty()) {
        end_refused(lost);
    }
    watch->at("seeing whether the journal directory " + config.journal.dir + " can be written");
    if (!prepare_journal_dir(config.journal, goes_on, message)) {
        log_error(message);
        return kExitError;
    }
    watch->at("looking for the second directory of the log in " + config.journal.dir);
    if (!prepare_second_directory(config.journal, configured_second(config).path, goes_on,
                                  message)) {
        log_error(message);
        return kExitError;
    }
    std::string holder;
    const auto lock = RoleLock::try_acquire(config.journal.dir, "supervisor", holder);
    if (!lock) {
        log_error(lock.code() == Errc::NotOwner
                      ? "another `millrace up` (" + holder +
                            ") keeps this journal; stop it with "
                            "`millrace down -c " +
                            config.file + "`"
                      : "cannot lock " + config.journal.dir +
                            "/locks/supervisor.lock: " + std::strerror(lock.error().sys_errno));
        return lock.code() == Errc::NotOwner ? kExitRoleHeld : kExitError;
    }
    make_operator_locks(config.journal.dir);
    return run(config, options, std::move(watch));
}

}  // namespace millrace
