// Who may give which command (requirement R280): "operators" of the configuration names users and
// roles; without it everybody who can open the pipeline may do everything.
//
//     viewer    looks                      trader    and stops, resumes, resolves, pauses
//     admin     and changes what the pipeline is made of: up, down, accounts, stores, credentials
//
// It guards against mistakes and keeps apart who is meant to do what; it is no wall against the
// pipeline's own system user or root, who can write into its memory and files without any command.
// `kill` is everybody's: a red button asks nobody, and no file is read before it acts. Each command
// that the engine carries out stands in the journal with its user either way (core/actor.h).
#pragma once

#include "tools/millrace/json_doc.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace millrace {

class ObjectReader;

/// In rising order: each may do what those before it may.
enum class Role : std::uint8_t { Viewer, Trader, Admin };
[[nodiscard]] std::string_view to_string(Role role) noexcept;

/// One of "operators".
struct OperatorConfig {
    std::string user;  // login name, or the user's number
    Role role = Role::Viewer;
};
[[nodiscard]] OperatorConfig read_operator(ObjectReader& o);

/// The person at the keyboard.
struct Login {
    std::uint32_t uid = 0;  // of the login, which sudo keeps
    std::string name;
};

/// @param owner uid of the pipeline's journal directory: its own user may always do everything, so
/// that no list can lock everybody out.
/// @return the role; a user who is not listed has none and is a viewer.
[[nodiscard]] Role role_of(const std::vector<OperatorConfig>& operators, const Login& login,
                           std::uint32_t owner);

/// Least role for the command of these words, such as "account pause". A command that only says
/// what it would do (`--dry-run`) needs none, which the caller knows.
/// @return false if the command is not known here: a test holds the list against the command line.
[[nodiscard]] bool needed_role(std::string_view words, Role& role) noexcept;

}  // namespace millrace
