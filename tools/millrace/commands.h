// The command line's shape: which words there are and which function each one calls.
#pragma once

#include <CLI/CLI.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace millrace {

struct Config;
struct Target;

/// Reads a configuration and prints its mistakes. @return whether it may be used.
[[nodiscard]] bool load_config(const std::string& file, Config& config);

/// What was asked for; `run` does it.
struct Command {
    std::function<int()> run;
    std::int64_t executed_ns = 0;  // CLOCK_MONOTONIC at the start of main()
};

/// Options of a command live as long as its callback.
template <class Options>
std::shared_ptr<Options> options_for() {
    return std::make_shared<Options>();
}

/// Adds --config and --segment.
[[nodiscard]] std::shared_ptr<Target> add_target(CLI::App* app);
/// The same and --dry-run, to a command that changes something.
[[nodiscard]] std::shared_ptr<Target> add_changing_target(CLI::App* app);

/// up, down, upgrade, stage.
void add_pipeline_commands(CLI::App& app, Command& command);
/// account.
void add_account_commands(CLI::App& app, Command& command);
/// group.
void add_group_commands(CLI::App& app, Command& command);
/// kill, unkill, resolve, recover.
void add_emergency_commands(CLI::App& app, Command& command);
/// doctor redis, doctor clickhouse, verify clickhouse.
void add_doctor_commands(CLI::App& app, Command& command);
/// config check, config schema.
void add_config_commands(CLI::App& app, Command& command);

}  // namespace millrace
