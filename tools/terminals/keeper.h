// Keeper: all terminals of one pipeline, started in the order of need, watched, started again, and
// what operators say of them.
#pragma once

#include "tools/millrace/config.h"
#include "tools/millrace/terminal_config.h"
#include "tools/terminals/policy.h"
#include "tools/terminals/segment_sight.h"
#include "tools/terminals/terminal_process.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace millrace::terminals {

/// Who sent a command, for the log.
struct Operator {
    std::uint32_t uid = 0;
    int pid = 0;
};

/// Threads: one. Nothing in it waits for a terminal.
class Keeper {
public:
    /// @param config outlives this.
    /// @param launcher arguments of a process that calls launch(); "-a ACCOUNT" is added.
    Keeper(const Config& config, TerminalsConfig terminals, std::vector<std::string> launcher);

    ~Keeper();
    Keeper(const Keeper&) = delete;
    Keeper& operator=(const Keeper&) = delete;

    /// Finds the terminals that run, and who of the others comes first.
    void begin(Nanos now);
    /// Looks at all of them and does what is due. Ten times a second.
    void turn(Nanos now);
    /// Ends those that `down` ends. turn() goes on until ended().
    void end(Nanos now);
    [[nodiscard]] bool ended() const;

    /// Answers one line of the control line, a JSON object: {"verb": "list"}, or {"verb":
    /// "start|stop|restart", "accounts": [NAME, ...]}; with all of them known, or nothing is done.
    [[nodiscard]] std::string answer(const std::string& line, const Operator& from, Nanos now);

private:
    struct Terminal;

    void look_at(Terminal& t, Nanos now);
    void start_due(Nanos now);
    void start(Terminal& t, Nanos now);
    void give_up(const Terminal& t) const;
    void tell_setbacks(Terminal& t) const;
    void say(const Terminal& t, const std::string& what) const;
    [[nodiscard]] std::string list(Nanos now) const;
    [[nodiscard]] std::string do_for(const std::string& verb, const std::vector<std::string>& names,
                                     const Operator& from, Nanos now);

    const Config& config_;
    TerminalsConfig settings_;
    std::vector<std::string> launcher_;
    SegmentSight sight_;
    std::vector<std::unique_ptr<Terminal>> terminals_;
    bool ending_ = false;
};

}  // namespace millrace::terminals
