// Goal: the manual page and --help say the same, and both can be read on an 80x24 terminal.
// Method: verbs and options are taken out of --help and out of the page, section by section.
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

#include "tests/inspect/cli.h"

namespace millrace::inspect {
namespace {

using Words = std::set<std::string>;

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream in{text};
    for (std::string line; std::getline(in, line);) {
        lines.push_back(line);
    }
    return lines;
}

std::string help_of(const std::string& verb) {
    const Ran r = verb.empty() ? run_cli({"--help"}) : run_cli({verb, "--help"});
    EXPECT_EQ(r.status, 0) << verb << r.err;
    return r.out;
}

/// Verbs as the main help lists them.
std::vector<std::string> verbs() {
    std::vector<std::string> out;
    bool listed = false;
    for (const std::string& line : lines_of(help_of(""))) {
        listed = listed || line == "Subcommands:";
        if (listed && line.rfind("  ", 0) == 0) {
            out.push_back(line.substr(2, line.find(' ', 2) - 2));
        }
    }
    return out;
}

/// Every --word in a text.
Words options_in(const std::string& text) {
    Words out;
    for (std::size_t at = text.find("--"); at != std::string::npos; at = text.find("--", at + 2)) {
        std::size_t end = at + 2;
        while (end < text.size() && (std::islower(text[end]) != 0 || text[end] == '-')) {
            ++end;
        }
        out.insert(text.substr(at, end - at));
    }
    return out;
}

/// The options that a verb's help lists (not those of its examples).
Words options_of(const std::string& verb) {
    Words out;
    for (const std::string& line : lines_of(help_of(verb))) {
        if (line.rfind("  -", 0) == 0) {
            const Words found = options_in(line.substr(0, line.find(' ', 2)));
            out.insert(found.begin(), found.end());
        }
    }
    return out;
}

std::string page() {
    std::ifstream file{MILLRACE_INSPECT_MAN};
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

/// The page between `.HEAD` and the next head, "" if there is no such section.
std::string section(const std::string& head) {
    const std::string text = page();
    const std::size_t begin = text.find("\n" + head + "\n");
    if (begin == std::string::npos) {
        return "";
    }
    return text.substr(
        begin, std::min(text.find("\n.SS ", begin + 1), text.find("\n.SH ", begin + 1)) - begin);
}

TEST(InspectManual, HasEveryVerbAndNoOther) {
    const std::vector<std::string> all = verbs();
    EXPECT_EQ(all.size(), 15U);
    Words in_page;
    for (const std::string& line : lines_of(page())) {
        if (line.rfind(".SS ", 0) == 0) {
            in_page.insert(line.substr(4));
        }
    }
    EXPECT_EQ(in_page, Words(all.begin(), all.end()));
}

TEST(InspectManual, HasEveryOptionOfEveryVerbAndNoOther) {
    const Words common = options_in(section(".SH VERBS"));
    EXPECT_EQ(common, (Words{"--json", "--dir", "--help"}));
    for (const std::string& verb : verbs()) {
        Words both = options_in(section(".SS " + verb));
        both.insert(common.begin(), common.end());
        EXPECT_EQ(both, options_of(verb)) << verb;
    }
}

TEST(InspectManual, HelpFitsEightyColumns) {
    std::vector<std::string> all = verbs();
    all.emplace_back("");
    for (const std::string& verb : all) {
        for (const std::string& line : lines_of(help_of(verb))) {
            EXPECT_LE(line.size(), 80U) << verb << ": " << line;
        }
    }
}

TEST(InspectManual, EveryExampleInItIsAValidCommandLine) {
    // Verbs that end by themselves, at a directory without a segment: 3, not 2.
    for (const std::string& line : lines_of(page())) {
        const std::size_t at = line.find("millrace inspect ");
        const std::size_t pipe = line.find_first_of("|>)");
        if (at == std::string::npos || line.rfind(".B", 0) != 0) {
            continue;
        }
        std::istringstream in{
            line.substr(at + 17, pipe == std::string::npos ? pipe : pipe - at - 17)};
        std::vector<std::string> words;
        for (std::string word; in >> word;) {
            word.erase(std::remove_if(word.begin(), word.end(),
                                      [](char c) { return c == '"' || c == ':'; }),
                       word.end());
            words.push_back(word);
        }
        words.insert(words.end(), {"--dir", "/nonexistent"});
        EXPECT_EQ(run_cli(words).status, 3) << line;
    }
}

TEST(InspectManual, IsSoundRoff) {
    if (std::system("command -v groff >/dev/null") != 0) {
        GTEST_SKIP() << "no groff here";
    }
    const std::string errors = ::testing::TempDir() + "man-errors-" + std::to_string(::getpid());
    const std::string command = std::string{"groff -man -Tutf8 -ww -rCHECKSTYLE=3 "} +
                                MILLRACE_INSPECT_MAN + " >/dev/null 2>" + errors;
    EXPECT_EQ(std::system(command.c_str()), 0);
    std::stringstream said;
    said << std::ifstream{errors}.rdbuf();
    EXPECT_EQ(said.str(), "");
    ::unlink(errors.c_str());
}

}  // namespace
}  // namespace millrace::inspect
