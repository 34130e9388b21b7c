// Goal: each requirement is shown by a scenario or a test that exists, beside it what is not built
// of it; gateway/README.md and persist/REQUIREMENTS.md say the same as the code.
// Method: requirements.txt and requirements_state.txt are read and held against the files and test
// sources of this tree, and against the shared requirements where they are.
// MILLRACE_WRITE_TABLES=1 writes the tables.
#include "tests/scenarios/index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace millrace::test {
namespace {

namespace fs = std::filesystem;

const fs::path kRoot{MILLRACE_ROOT};
const fs::path kScenarios{MILLRACE_SCENARIOS};

std::vector<Row> rows() {
    return read_indexes(kScenarios);
}

std::string joined(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) {
        text += line + "\n";
    }
    return text;
}

/// As problems(), but of the wanted rows only those that these rows name count.
std::string problems_of_rows(const std::vector<Row>& some) {
    std::vector<std::string> found = problems(some, {"a.scn", "Suite.Name"});
    std::erase_if(found, [](const std::string& p) { return p.ends_with(" is missing"); });
    return joined(found);
}

TEST(Requirements, AreEachShownByAScenarioOrATest) {
    const std::set<std::string> existing = existing_evidence(kRoot, kScenarios);
    ASSERT_GT(existing.size(), 1000U) << "the test sources were not found";
    EXPECT_EQ(joined(problems(rows(), existing)), "");
}

TEST(Requirements, WithoutARowOrWithEvidenceThatDoesNotExistAreFound) {
    EXPECT_EQ(problems_of_rows({{"R1", "", {"a.scn", "Suite.Name"}, "", 1}}), "");
    EXPECT_EQ(problems_of_rows({{"R1", "", {"a.scn"}, "a part", 1}}), "");
    for (const char* not_built : {"", "all of it"}) {
        EXPECT_EQ(problems_of_rows({{"R1", "", {}, not_built, 1}}),
                  "R1 is shown by nothing: name a scenario or a test of it\n");
    }
    EXPECT_EQ(problems_of_rows({{"R1", "", {"b.scn"}, "", 1}}), "R1: there is no b.scn\n");
    EXPECT_EQ(problems_of_rows({{"R1", "", {"Suite.Nam"}, "", 1}}), "R1: there is no Suite.Nam\n");
    EXPECT_EQ(problems_of_rows({{"R1", "", {"a.scn"}, "", 1}, {"R1", "", {"a.scn"}, "", 2}}),
              "R1 is there twice\n");
    EXPECT_EQ(problems_of_rows({{"R281", "", {"a.scn"}, "", 1}}), "a row that nobody asked for\n");
    EXPECT_EQ(problems({}, {}).size(), required_ids().size());
}

TEST(Requirements, AreThoseOfTheSharedDocuments) {
    const fs::path shared = kRoot.parent_path() / "shared/reference";
    std::ifstream matrix{shared / "requirements-matrix.md"};
    std::ifstream cases{shared / "trading.md"};
    if (!matrix || !cases) {
        GTEST_SKIP() << shared << " is not here: the rows are held against our own list only";
    }
    std::vector<std::string> ids;
    std::string line;
    while (std::getline(matrix, line)) {
        std::istringstream in{line};
        std::string bar;
        std::string id;
        std::string document;
        in >> bar >> id >> bar >> document;
        if (id[0] == 'R' && document.ends_with(".txt")) {
            ids.push_back(id);
        }
    }
    for (bool inside = false; std::getline(cases, line);) {
        inside = line.starts_with("## ") ? line.starts_with("## 8.") : inside;
        if (inside && line.find(". ") < 3) {
            ids.push_back("E" + line.substr(0, line.find('.')));
        }
    }
    std::vector<std::string> ours = required_ids();
    std::sort(ids.begin(), ids.end());
    std::sort(ours.begin(), ours.end());
    EXPECT_EQ(joined(ids), joined(ours));
}

/// The text of `document` between the marks of `name`, or what is to stand there.
void check_table(const char* document, const std::string& name, const std::string& table) {
    const fs::path file = kRoot / document;
    std::ostringstream read;
    read << std::ifstream{file}.rdbuf();
    std::string text = read.str();
    const std::string begin = "<!-- " + name + ": generated -->\n";
    const std::string end = "<!-- /" + name + " -->";
    const std::size_t from = text.find(begin);
    const std::size_t to = text.find(end);
    ASSERT_NE(from, std::string::npos) << begin << " is missing in " << file;
    ASSERT_NE(to, std::string::npos) << end << " is missing in " << file;
    const std::size_t at = from + begin.size();
    if (std::getenv("MILLRACE_WRITE_TABLES") != nullptr) {
        std::ofstream{file} << text.replace(at, to - at, table);
        return;
    }
    EXPECT_EQ(text.substr(at, to - at), table)
        << document << " is behind; mend: MILLRACE_WRITE_TABLES=1 ctest -R 'Readme' -j 1";
}

TEST(GatewayReadme, HasTheReturnCodesOfThisBuild) {
    check_table("gateway/README.md", "return codes", retcode_table());
}
TEST(GatewayReadme, HasTheRequirementsAsTheyAreShown) {
    check_table("gateway/README.md", "requirements",
                requirement_table(read_index(kScenarios / kExecutionIndex)));
}
TEST(PersistReadme, HasTheRequirementsAsTheyAreShown) {
    check_table("persist/REQUIREMENTS.md", "requirements",
                requirement_table(read_index(kScenarios / kStateIndex)));
}

}  // namespace
}  // namespace millrace::test
