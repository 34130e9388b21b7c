#include "tools/millrace/worker.h"

#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "tools/millrace/crash_plan.h"
#include "tools/millrace/log.h"

namespace millrace {

Worker::Worker(std::vector<StageName> stages) : stages_{std::move(stages)} {
    for (const StageName& s : stages_) {
        name_ += (name_.empty() ? "" : "+") + std::string{s.name};
    }
}

bool Worker::is_core() const noexcept {
    return std::any_of(stages_.begin(), stages_.end(), [](const StageName& s) {
        return s.id == StageId::Engine || s.id == StageId::Replica;
    });
}

ProcessWorker::ProcessWorker(std::vector<StageName> stages, std::string executable,
                             std::string config_file, const std::string& checked_text)
    : Worker{std::move(stages)}, arguments_{std::move(executable), "stage"} {
    for (const StageName& s : this->stages()) {
        arguments_.emplace_back(s.name);
    }
    arguments_.emplace_back("--config");
    arguments_.push_back(std::move(config_file));
    if (!checked_text.empty()) {
        arguments_.insert(arguments_.end(), {"--checked", checked_text});
    }
}

bool ProcessWorker::start(std::string& message) {
    const std::string crash_point = planned_crash(name(), starts_++);
    const auto id = spawn(arguments_, message, crash_point);
    if (!id) {
        return false;
    }
    if (!crash_point.empty()) {
        log_warn(name() + ": pid " + std::to_string(id.value().pid) + " is armed to die at " +
                 crash_point);
    }
    auto watch = ProcessWatch::open(id.value());
    if (!watch) {
        // Our child, not yet waited for: it cannot be gone. So the kernel has no pidfd.
        message = std::string{"cannot watch process "} + std::to_string(id.value().pid) + ": " +
                  watch.error().what + "; a kernel of 5.3 or later is needed";
        ::kill(id.value().pid, SIGKILL);
        ::waitpid(id.value().pid, nullptr, 0);
        return false;
    }
    watch_ = std::move(watch).value();
    ours_ = true;
    return true;
}

bool ProcessWorker::adopt(ProcessId id) {
    auto watch = ProcessWatch::open(id);
    if (!watch || watch.value().dead()) {
        return false;
    }
    watch_ = std::move(watch).value();
    ours_ = false;
    return true;
}

WorkerEnd ProcessWorker::reap() {
    int status = 0;
    const bool known = ours_ && ::waitpid(watch_.id().pid, &status, 0) == watch_.id().pid;
    watch_.reset();
    if (!known) {
        return {"ended (it was another supervisor's child: no status)", false, false, 0, false};
    }
    const bool crashed = WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL &&
                         WTERMSIG(status) != SIGTERM && WTERMSIG(status) != SIGINT;
    const bool held = WIFEXITED(status) && WEXITSTATUS(status) == kExitRoleHeld;
    return {describe_wait_status(status), crashed, held, static_cast<std::uint32_t>(status)};
}

void ProcessWorker::ask_to_stop() {
    watch_.send(SIGTERM);
    watch_.send(SIGCONT);  // a stopped process could not hear it
}

void ProcessWorker::kill() {
    watch_.send(SIGKILL);
}

}  // namespace millrace
