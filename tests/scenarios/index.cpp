#include "tests/scenarios/index.h"

#include "core/retcode.h"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>

namespace millrace::test {
namespace {

namespace fs = std::filesystem;

std::string trimmed(const std::string& text) {
    const std::size_t from = text.find_first_not_of(" \t");
    return from == std::string::npos ? ""
                                     : text.substr(from, text.find_last_not_of(" \t") - from + 1);
}

std::string text_of(const fs::path& file) {
    std::ifstream in{file};
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

bool is_name(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

/// A name at or after `at`, behind blanks; `at` then stands behind it.
std::string name_at(const std::string& text, std::size_t& at) {
    at = std::min(text.find_first_not_of(" \t\n", at), text.size());
    const std::size_t from = at;
    while (at < text.size() && is_name(text[at])) {
        ++at;
    }
    return text.substr(from, at - from);
}

/// TEST, TEST_F, TEST_P of a C++ source.
void add_tests(const std::string& text, std::set<std::string>& names) {
    for (std::size_t at = text.find("TEST"); at != std::string::npos; at = text.find("TEST", at)) {
        const bool begins = at == 0 || !is_name(text[at - 1]);
        const std::string macro = name_at(text, at);
        if (!begins || (macro != "TEST" && macro != "TEST_F" && macro != "TEST_P") ||
            at >= text.size() || text[at] != '(') {
            continue;
        }
        ++at;
        const std::string suite = name_at(text, at);
        at = std::min(text.find_first_not_of(" \t\n,", at), text.size());
        names.insert(suite + "." + name_at(text, at));
    }
}

/// add_test(NAME Suite.Name ...) of a CMakeLists.txt.
void add_registered(const std::string& text, std::set<std::string>& names) {
    std::istringstream in{text};
    std::string word;
    while (in >> word) {
        if (word == "NAME" || word == "add_test(NAME") {
            in >> word;
            names.insert(word);
        }
    }
}

}  // namespace

std::vector<Row> read_index(const fs::path& file) {
    std::ifstream in{file};
    if (!in) {
        throw std::runtime_error(file.string() + " cannot be read");
    }
    std::vector<Row> rows;
    std::string text;
    for (int line = 1; std::getline(in, text); ++line) {
        if (trimmed(text).empty() || trimmed(text)[0] == '#') {
            continue;
        }
        std::vector<std::string> fields;
        std::istringstream cut{text};
        for (std::string field; std::getline(cut, field, '|');) {
            fields.push_back(trimmed(field));
        }
        if (fields.size() < 3 || fields.size() > 4) {
            throw std::runtime_error(file.filename().string() + ":" + std::to_string(line) +
                                     ": not ID | words | evidence [| what is not built]");
        }
        Row row{fields[0], fields[1], {}, fields.size() == 4 ? fields[3] : "", line};
        std::istringstream evidence{fields[2]};
        for (std::string word; evidence >> word;) {
            row.evidence.push_back(word);
        }
        rows.push_back(row);
    }
    return rows;
}

std::vector<Row> read_indexes(const fs::path& folder) {
    std::vector<Row> rows;
    for (const char* file : {kExecutionIndex, kStateIndex}) {
        std::vector<Row> some = read_index(folder / file);
        rows.insert(rows.end(), some.begin(), some.end());
    }
    return rows;
}

std::vector<std::string> required_ids() {
    std::vector<std::string> ids;
    const auto add = [&ids](const char* letter, int first, int last) {
        for (int n = first; n <= last; ++n) {
            ids.push_back(letter + std::to_string(n));
        }
    };
    add("R", 1, 61);     // 000: fault tolerance
    add("R", 112, 179);  // 002: Expert Advisor fault tolerance
    add("R", 236, 280);  // 004: edge cases
    add("E", 1, 15);     // trading.md, section 8
    add("R", 62, 111);   // 001: high availability
    add("R", 180, 235);  // 003: backup and recovery
    return ids;
}

std::set<std::string> existing_evidence(const fs::path& root, const fs::path& scenarios) {
    std::set<std::string> names;
    for (const char* folder : {"tests", "bench", "tools"}) {
        for (const auto& entry : fs::recursive_directory_iterator{root / folder}) {
            if (entry.path().extension() == ".cpp") {
                add_tests(text_of(entry.path()), names);
            } else if (entry.path().filename() == "CMakeLists.txt") {
                add_registered(text_of(entry.path()), names);
            }
        }
    }
    for (const auto& entry : fs::directory_iterator{scenarios}) {
        if (entry.path().extension() == ".scn") {
            names.insert(entry.path().filename().string());
        }
    }
    return names;
}

std::vector<std::string> problems(const std::vector<Row>& rows,
                                  const std::set<std::string>& existing) {
    std::vector<std::string> found;
    std::map<std::string, int> times;
    for (const Row& row : rows) {
        if (++times[row.id] > 1) {
            found.push_back(row.id + " is there twice");
        }
        if (row.evidence.empty()) {
            found.push_back(row.id + " is shown by nothing: name a scenario or a test of it");
        }
        for (const std::string& name : row.evidence) {
            if (!existing.contains(name)) {
                found.push_back(row.id + ": there is no " + name);
            }
        }
    }
    for (const std::string& id : required_ids()) {
        if (times[id]++ == 0) {
            found.push_back(id + " is missing");
        }
    }
    if (times.size() > required_ids().size()) {
        found.push_back("a row that nobody asked for");
    }
    return found;
}

std::string retcode_table() {
    std::ostringstream out;
    out << "| code | TRADE_RETCODE_ | class | what the engine does |\n|---|---|---|---|\n";
    for (const RetcodeRow& row : retcode_rows()) {
        out << "| " << row.code << " | " << row.name << " | " << to_string(row.cls) << " | "
            << (row.action.empty() ? action_of(row.cls) : row.action) << " |\n";
    }
    out << "| any other, 0 too | | " << to_string(classify(0)) << " | " << action_of(classify(0))
        << " |\n";
    return out.str();
}

std::string requirement_table(const std::vector<Row>& rows) {
    std::ostringstream out;
    out << "| row | | shown by | not built |\n|---|---|---|---|\n";
    for (const Row& row : rows) {
        out << "| " << row.id << " | " << row.words << " |";
        for (const std::string& name : row.evidence) {
            out << " `" << name << "`";
        }
        out << " | " << row.not_built << " |\n";
    }
    return out.str();
}

}  // namespace millrace::test
