// The terminals that Millrace starts and watches itself. Read apart from Config, as the accounts of
// kind "fix" are: no stage wants this.
#pragma once

#include "tools/millrace/config.h"
#include "tools/millrace/config_reader.h"

#include <cstdint>
#include <string>
#include <vector>

namespace millrace {

/// The longest that "stop_s" may be.
inline constexpr std::uint32_t kTerminalStopSMax = 60;

/// The terminal of one account of kind "terminal".
struct TerminalConfig {
    std::string account_name;  // of the account in Config
    std::uint64_t login = 0;
    std::vector<std::string> command;  // stays in the foreground for as long as the terminal lives
    std::string cwd;                   // absolute
    std::vector<std::string> env;      // NAME=VALUE, over our own environment
    std::uint32_t ready_s = 30;        // without a session for so long: killed
    std::uint32_t stop_s = 10;         // between SIGTERM and SIGKILL
    std::uint32_t retry_s = 0;         // given up: one more start after so long; 0 = never
    bool keep = false;                 // `down` leaves it running
};
struct TerminalsConfig {
    std::uint32_t starting_max = 4;  // at once
    std::vector<TerminalConfig> terminals;
};

/// Reads "terminal" of one account, for the mistakes in it. @param folder that paths in it are
/// relative to.
void check_terminal_keys(ObjectReader& account, const std::string& folder);
/// Reads the document's "terminals", for the mistakes in it.
void check_terminals_keys(ObjectReader& document);

/// The terminals of a configuration that was read without a mistake.
[[nodiscard]] TerminalsConfig terminals_of(const Config& config);

/// Folder of millrace-terminals: its `pid` (pid_file.h) and its control line.
[[nodiscard]] inline std::string terminals_folder(const std::string& journal_dir) {
    return journal_dir + "/terminals";
}
/// Folder of one terminal.
[[nodiscard]] inline std::string terminal_folder(const std::string& journal_dir,
                                                 const std::string& account) {
    return terminals_folder(journal_dir) + "/accounts/" + account;
}
/// The control line, inside terminals_folder(): such a path may be too long for a socket's address.
inline constexpr const char* kTerminalsControl = "control";

}  // namespace millrace
