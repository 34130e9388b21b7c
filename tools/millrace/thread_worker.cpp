#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "shm/doorbell.h"
#include "tools/millrace/log.h"
#include "tools/millrace/stages.h"
#include "tools/millrace/worker.h"

namespace millrace {

namespace {

constexpr std::size_t kThreadNameMax = 15;  // of the kernel's 16 bytes

}  // namespace

struct ThreadWorker::Thread {
    std::unique_ptr<Runner> runner;
    std::vector<StageId> places;
    RunEnd end;
    int ended_fd = ::eventfd(0, EFD_CLOEXEC);
    std::thread thread;

    ~Thread() {
        if (thread.joinable()) {
            thread.join();
        }
        ::close(ended_fd);
    }
};

ThreadWorker::ThreadWorker(std::vector<StageName> stages, StageContext context)
    : Worker{std::move(stages)}, context_{context} {}

ThreadWorker::~ThreadWorker() {
    if (thread_ != nullptr) {
        thread_->runner->abandon();
    }
}

bool ThreadWorker::start(std::string& message) {
    std::vector<StageSlot> slots;
    auto made = std::make_unique<Thread>();
    for (const StageName& s : stages()) {
        auto slot = build_stage(s.name, context_, message);
        if (!slot) {
            return false;
        }
        slots.push_back(std::move(slot).value());
        made->places.push_back(s.id);
    }
    RunnerOptions options = runner_options(context_.config, stages().front().id);
    options.started_ns = context_.segment.clock().now().value;
    made->runner = std::make_unique<Runner>(context_.segment, options, std::move(slots));
    made->thread = std::thread{[worker = made.get(), called = name().substr(0, kThreadNameMax)] {
        ::pthread_setname_np(::pthread_self(), called.c_str());
        sigset_t all;  // signals are for the supervisor's thread
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
        worker->end = worker->runner->run();
        const std::uint64_t one = 1;
        (void)!::write(worker->ended_fd, &one, sizeof one);
    }};
    thread_ = std::move(made);
    return true;
}

int ThreadWorker::end_fd() const {
    return thread_ == nullptr ? -1 : thread_->ended_fd;
}

WorkerEnd ThreadWorker::reap() {
    thread_->thread.join();
    WorkerEnd end;
    end.text = thread_->end.failed() ? "ends: " + thread_->end.reason : "stopped";
    end.status = thread_->end.failed() ? kExitStageFailed << 8U : 0;  // as a process would leave it
    thread_.reset();
    return end;
}

void ThreadWorker::ask_to_stop() {
    thread_->runner->request_stop();
    for (const StageId id : thread_->places) {
        ring(context_.segment.doorbell(id));
    }
}

void ThreadWorker::kill() {
    log_error(name() +
              " does not move and is a thread of this process: ending the process; start "
              "it again to recover");
    (void)log_stop(kExitError);
    ::raise(SIGKILL);
}

ProcessId ThreadWorker::process() const {
    return {::getpid(), process_start_time(::getpid())};
}

}  // namespace millrace
