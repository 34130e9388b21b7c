// Index: which scenario or test shows a row of the requirements, and what is not built of it.
//
// One row a line in requirements.txt (execution) and requirements_state.txt (availability, backup,
// recovery): ID | words | evidence ... [| what is not built]. Evidence is a scenario of this folder
// (name.scn) or a test (Suite.Name, as it is written in its source).
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

namespace millrace::test {

struct Row {
    std::string id;
    std::string words;
    std::vector<std::string> evidence;
    std::string not_built;  // empty = all of it is built
    int line = 0;
};

inline constexpr const char* kExecutionIndex = "requirements.txt";    // in gateway/README.md
inline constexpr const char* kStateIndex = "requirements_state.txt";  // in persist/REQUIREMENTS.md

/// The rows of the file. @throw std::runtime_error with the line of one that is none.
[[nodiscard]] std::vector<Row> read_index(const std::filesystem::path& file);

/// Those of both files of `folder`. @throw as read_index().
[[nodiscard]] std::vector<Row> read_indexes(const std::filesystem::path& folder);

/// The ids that must be there: the R rows of the five documents, and E1 to E15, the edge cases of
/// the reference. Our own list: the documents are not part of the project.
[[nodiscard]] std::vector<std::string> required_ids();

/// Every scenario of `scenarios` and every test in the sources below `root`.
[[nodiscard]] std::set<std::string> existing_evidence(const std::filesystem::path& root,
                                                      const std::filesystem::path& scenarios);

/// What is wrong with the rows: missing, repeated, without evidence or with some that does not
/// exist. A word of what is not built is no evidence. Empty if nothing is.
[[nodiscard]] std::vector<std::string> problems(const std::vector<Row>& rows,
                                                const std::set<std::string>& existing);

/// The tables of gateway/README.md and persist/REQUIREMENTS.md.
[[nodiscard]] std::string retcode_table();
[[nodiscard]] std::string requirement_table(const std::vector<Row>& rows);

}  // namespace millrace::test
