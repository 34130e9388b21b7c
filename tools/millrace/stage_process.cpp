// One process with one stage (or those that share a thread), as the supervisor starts it.
#include <signal.h>
#include <unistd.h>

#include <csignal>

#include <functional>

#include "shm/doorbell.h"
#include "tools/millrace/backlog.h"
#include "tools/millrace/log.h"
#include "tools/millrace/poison.h"
#include "tools/millrace/segment_ids.h"
#include "tools/millrace/stages.h"

namespace millrace {
namespace {

// For the signal handlers, which can be given nothing. Set once before they are installed.
Runner* g_runner = nullptr;
const Segment* g_segment = nullptr;
std::function<bool()> g_owns_engine;  // of a core

void on_stop_signal(int) {
    g_runner->request_stop();
}

/// Leaves in the stage table why we died, and in the error log the record that the engine died of:
/// the supervisor may be a new one, which was never our parent and gets no wait status, and the
/// spare may have taken our place before it looks. Async-signal-safe: atomic operations, getpid()
/// and clock_gettime().
void on_crash_signal(int signal) {
    const auto self = static_cast<std::uint32_t>(::getpid());
    for (std::uint32_t i = 0; i < kStages; ++i) {
        StageEntry& e = g_segment->stage(static_cast<StageId>(i));
        if (e.pid.load(std::memory_order_relaxed) == self) {
            e.last_exit.store(static_cast<std::uint32_t>(signal), std::memory_order_relaxed);
        }
    }
    if (g_owns_engine && g_owns_engine()) {
        if (const Sequence seq = record_in_flight(*g_segment); seq != Sequence{}) {
            note_engine_death(*g_segment, seq);
        }
    }
    ::signal(signal, SIG_DFL);
    ::raise(signal);
}

void handle(int signal, void (*handler)(int)) {
    struct sigaction action{};
    action.sa_handler = handler;
    ::sigemptyset(&action.sa_mask);
    ::sigaction(signal, &action, nullptr);
}

/// Blocked in every thread but the main one (and there too until the handlers stand), so that a
/// signal ends the main thread's sleep and none is lost while the stage is being built.
void mask_stop_signals(int how) {
    sigset_t set;
    ::sigemptyset(&set);
    ::sigaddset(&set, SIGTERM);
    ::sigaddset(&set, SIGINT);
    ::pthread_sigmask(how, &set, nullptr);
}

void install_handlers(Runner& runner, const Segment& segment) {
    g_runner = &runner;
    g_segment = &segment;
    handle(SIGTERM, on_stop_signal);
    handle(SIGINT, on_stop_signal);
    for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) {
        handle(signal, on_crash_signal);
    }
}

int fail(int code, const std::string& text) {
    log_error(text);
    return log_stop(code);
}

std::string join(const std::vector<std::string>& names) {
    std::string s;
    for (const std::string& n : names) {
        s += (s.empty() ? "" : "+") + n;
    }
    return s;
}

/// The segment of this configuration. Never creates one: only `up` does (DESIGN rule 5).
Result<Segment> attach(const Config& config, std::string& message) {
    auto segment = Segment::attach(config.segment_path(), Segment::Mode::ReadWrite, message);
    if (segment && segment.value().header().journal_dir != config.journal.dir) {
        message = config.segment_path() + " belongs to journal " +
                  segment.value().header().journal_dir + ", not to " + config.journal.dir +
                  "; give this pipeline another \"name\"";
        return {Errc::BadInput, "segment"};
    }
    if (segment && config.memory.plan.lock == MemoryWish::Require &&
        segment.value().header().locked != 0 && !segment.value().locked()) {
        message = "\"memory.lock\" is \"require\" and this process may not lock " +
                  config.segment_path() +
                  "; raise RLIMIT_MEMLOCK (LimitMEMLOCK=infinity, ulimit -l)";
        return {Errc::NoSpace, "segment"};
    }
    return segment;
}

int run(Segment& segment, const Config& config, const std::vector<std::string>& names,
        std::int64_t executed_ns) {
    std::string message;
    auto book = IdBook::load(config.journal.dir, message);
    if (!book) {
        // It was there at the start of the pipeline, whose other stages go on by what it said.
        log_error(message + "; going on by what the segment says of its names");
        message.clear();
    }
    const IdBook ids = book ? std::move(book).value() : ids_of_segment(segment, config);
    const StageContext context{segment, config, ids, false};
    std::vector<StageSlot> slots;
    for (const std::string& name : names) {
        auto slot = build_stage(name, context, message);
        if (!slot) {
            return fail(slot.code() == Errc::NotOwner ? kExitRoleHeld : kExitError,
                        name + ": " + message);
        }
        slots.push_back(std::move(slot).value());
    }
    RunnerOptions options = runner_options(config, slots[0].place());
    options.started_ns = executed_ns + segment.header().clock_anchor_ns;
    options.of_role = [&config](StageId id) { return runner_options(config, id); };
    std::function<bool()> owns_engine = slots[0].owns_engine;  // a core has its process to itself
    const std::function<std::string()> last_words = slots[0].last_words;
    Runner runner{segment, options, std::move(slots)};
    g_owns_engine = std::move(owns_engine);
    install_handlers(runner, segment);
    mask_stop_signals(SIG_UNBLOCK);
    const RunEnd end = runner.run();
    if (end.failed()) {
        segment.report_error(names[0], end.reason);
        return fail(kExitStageFailed, "ends: " + end.reason);
    }
    if (const std::string said = last_words ? last_words() : ""; !said.empty()) {
        log_info(said);
    }
    log_info("stopped");
    return log_stop(kExitOk);
}

}  // namespace

int run_stage_process(const std::vector<std::string>& names, const std::string& config_file,
                      const std::string& checked_text, std::int64_t executed_ns) {
    // A peer that is gone and a file at its size limit are errors of a call, not of the process.
    ::signal(SIGPIPE, SIG_IGN);
    ::signal(SIGXFSZ, SIG_IGN);
    mask_stop_signals(SIG_BLOCK);
    // While there is one thread (the log starts another): registering a process that has several
    // waits for an RCU grace period, 15 to 30 ms of every restart (membarrier_register_* in
    // kernel/sched/membarrier.c).
    doorbell_setup();
    std::vector<Mistake> mistakes;
    const Config config = read_config(config_file, mistakes, nullptr, checked_text);
    std::string message;
    if (!log_start(config.log, join(names), message)) {
        log_warn(message);
    }
    for (const Mistake& m : mistakes) {
        log_error(to_string(m));
    }
    if (!mistakes.empty()) {
        return log_stop(kExitBadConfig);
    }
    auto segment = attach(config, message);
    if (!segment) {
        return fail(kExitError, message);
    }
    return run(segment.value(), config, names, executed_ns);
}

}  // namespace millrace
