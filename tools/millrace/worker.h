// Worker: what the supervisor keeps running: one process, or one thread of this process, with one
// stage or several that share a thread.
#pragma once

#include "tools/millrace/process.h"
#include "tools/millrace/stages.h"

#include <memory>
#include <string>
#include <vector>

namespace millrace {

/// Why a worker ended.
struct WorkerEnd {
    std::string text;          // for the log
    bool own_fault = false;    // it crashed itself: evidence of a poisonous input
    bool role_held = false;    // another process is this stage already
    std::uint32_t status = 0;  // wait status, for the stage table
    bool known = true;         // false: no child of ours, so there is no status to be had
};

/// Threads: the supervisor's.
class Worker {
public:
    explicit Worker(std::vector<StageName> stages);
    virtual ~Worker() = default;
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    /// Starts it. @return false with `message` if that is impossible now.
    [[nodiscard]] virtual bool start(std::string& message) = 0;
    /// True between a successful start (or adoption) and reap().
    [[nodiscard]] virtual bool running() const = 0;
    /// Readable when it has ended; -1 if it does not run.
    [[nodiscard]] virtual int end_fd() const = 0;
    /// It has ended (end_fd() is readable, which is proof): why. Then it does not run any more.
    [[nodiscard]] virtual WorkerEnd reap() = 0;
    /// Asks it to drain and stop.
    virtual void ask_to_stop() = 0;
    /// Ends it at once.
    virtual void kill() = 0;
    /// The process it is in.
    [[nodiscard]] virtual ProcessId process() const = 0;

    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    [[nodiscard]] const std::vector<StageName>& stages() const noexcept { return stages_; }
    /// True if this is one of the two that contend for the engine's role.
    [[nodiscard]] bool is_core() const noexcept;

private:
    std::vector<StageName> stages_;
    std::string name_;
};

/// A process `millrace stage NAME... --config FILE`, started by us or by an earlier supervisor.
class ProcessWorker final : public Worker {
public:
    /// @param checked_text read in the place of `config_file`; empty = there is none.
    ProcessWorker(std::vector<StageName> stages, std::string executable, std::string config_file,
                  const std::string& checked_text);

    bool start(std::string& message) override;
    /// Takes over a process that runs already. @return false if it is gone.
    [[nodiscard]] bool adopt(ProcessId id);
    [[nodiscard]] bool running() const override { return !watch_.empty(); }
    [[nodiscard]] int end_fd() const override { return watch_.fd(); }
    [[nodiscard]] WorkerEnd reap() override;
    void ask_to_stop() override;
    void kill() override;
    [[nodiscard]] ProcessId process() const override { return watch_.id(); }

private:
    std::vector<std::string> arguments_;
    ProcessWatch watch_;
    bool ours_ = false;  // our child: it leaves a wait status
    std::size_t starts_ = 0;
};

/// A thread of this process.
class ThreadWorker final : public Worker {
public:
    ThreadWorker(std::vector<StageName> stages, StageContext context);
    ~ThreadWorker() override;

    bool start(std::string& message) override;
    [[nodiscard]] bool running() const override { return thread_ != nullptr; }
    [[nodiscard]] int end_fd() const override;
    [[nodiscard]] WorkerEnd reap() override;
    void ask_to_stop() override;
    /// A thread cannot be killed and replaced: the whole process goes, and recovery begins at its
    /// next start.
    void kill() override;
    [[nodiscard]] ProcessId process() const override;

private:
    struct Thread;
    StageContext context_;
    std::unique_ptr<Thread> thread_;
};

}  // namespace millrace
